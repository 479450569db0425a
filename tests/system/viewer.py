"""A manager's view: what the control plane lists, fetched from the bucket by presigned GET, as a browser would."""

import hashlib
import time

import requests


class Viewer:
    def __init__(self, api_url, token, ca_file):
        self._api = api_url
        self._session = requests.Session()
        self._session.verify = str(ca_file)
        self._session.trust_env = False
        self._token = {"Authorization": f"Bearer {token}"}

    def _get(self, path, **parameters):
        answer = self._session.get(self._api + path, params=parameters, headers=self._token, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def recordings(self):
        """All recordings of the company, oldest first."""
        found, cursor = [], None
        while True:
            page = self._get("/v1/recordings", **({"after": cursor} if cursor else {}))
            found += page["recordings"]
            cursor = page.get("next")
            if not cursor:
                return sorted(found, key=lambda recording: recording["started_at"])

    def wait_finished(self, recording_id, timeout=90):
        """Waits until the control plane knows that all of a recording is in the bucket."""
        end = time.monotonic() + timeout
        while not any(r["id"] == recording_id and r["state"] == "finished" for r in self.recordings()):
            if time.monotonic() > end:
                raise TimeoutError(f"recording {recording_id} is not finished after {timeout} s")
            time.sleep(0.2)

    def segments(self, recording_id):
        segments = self._get(f"/v1/recordings/{recording_id}/segments")["segments"]
        return sorted(segments, key=lambda segment: segment["sequence"])

    def url(self, segment):
        """A presigned GET for one segment; each call is audited by the control plane."""
        answer = self._session.post(f"{self._api}/v1/segments/{segment['id']}/url", headers=self._token, timeout=30)
        answer.raise_for_status()
        return answer.json()["url"]

    def fetch(self, segment):
        """The segment's bytes, straight from the bucket, checked against the control plane's hash."""
        answer = self._session.get(self.url(segment), timeout=60)
        answer.raise_for_status()
        if hashlib.sha256(answer.content).hexdigest() != segment["sha256"]:
            raise ValueError(f"segment {segment['sequence']} is not what the control plane recorded: its SHA-256 differs")
        return answer.content

    def download(self, recording_id, folder):
        """Fetches all segments of a recording that the folder does not hold yet. Returns their paths in order."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for segment in self.segments(recording_id):
            if segment["state"] != "complete":
                continue
            path = folder / f"{segment['sequence']:08}.sss"
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != segment["sha256"]:
                path.write_bytes(self.fetch(segment))
            paths.append(path)
        return paths
