"""tools/bench api: presigned URLs in a second of one core, beside a constant and nginx; under a flood of logins; on a full ledger."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import uuid

from apid.client import Api, Device, compact
from progress import Progress
from services.apid import Apid
from services.ca import CertificateAuthority
from services.postgres import Postgres
from services.process import Process, find_program, free_port, private_dir
from services.redis import Redis

URL = "https://api.streamsight.test"
LEDGER_SECONDS = 60  # of recording in a segment

# As an operator would run it, but for waiting for the disk: the machine's is not what is measured.
_POSTGRES = """fsync = off
synchronous_commit = on
full_page_writes = on
shared_buffers = 2GB
max_wal_size = 8GB
min_wal_size = 2GB
checkpoint_timeout = 30min
"""

_NGINX = """
daemon off;
worker_processes {workers};
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
{user}
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {dir}/tmp; proxy_temp_path {dir}/tmp; fastcgi_temp_path {dir}/tmp; uwsgi_temp_path {dir}/tmp;
    scgi_temp_path {dir}/tmp;
    keepalive_requests 1000000000;
    server {{ listen 127.0.0.1:{port}; access_log off; location / {{ root {dir}; try_files /reply =404; }} }}
}}
"""


def parse():
    parser = argparse.ArgumentParser(prog="tools/bench api", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--requests", type=int, default=20000, metavar="N", help="in each measurement (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of all measurements, of which the median counts (default %(default)s)")
    parser.add_argument("--connections", type=int, default=64, metavar="N", help="default %(default)s")
    parser.add_argument("--workers", type=int, default=8, metavar="N", help="threads of each server (default %(default)s)")
    parser.add_argument("--devices", type=int, default=100000, metavar="N", help="in the full ledger (default %(default)s)")
    parser.add_argument("--days", type=int, default=30, metavar="N", help="of recordings in it (default %(default)s)")
    parser.add_argument("--segments", type=int, default=6, metavar="N", help="in each of its recordings (default %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all that was measured there")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def cpu_seconds(pid):
    """User and system time so far of a process and of its children, ended ones included (proc(5))."""
    total, ticks = 0, os.sysconf("SC_CLK_TCK")
    for process in [pid] + [int(p) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]:
        try:
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        total += sum(int(field) for field in fields[11:15 if process == pid else 13]) / ticks
    return total


class Fleet:
    """Devices with keys that announce their segments, one after the other; all of them are recording."""

    def __init__(self, size, company):
        class nobody:
            port, public_url = 0, URL
        self.devices = []
        for number in range(size):
            device = Device(Api(nobody), f"pc-{number}.example.org")
            device.id, device.company_id, device.token = str(uuid.uuid4()), company, f"ssd_{uuid.uuid4()}{uuid.uuid4()}"
            device.current, device.next = str(uuid.uuid4()), 0
            self.devices.append(device)

    def insert(self, sql):
        values = lambda row: ",".join(row(device) for device in self.devices)
        point = lambda device: "04" + "".join(f"{n:064x}" for n in (device.key.public_key().public_numbers().x,
                                                                   device.key.public_key().public_numbers().y))
        sql("INSERT INTO streamsight.device (company_id, id, hostname, public_key) VALUES " +
            values(lambda d: f"('{d.company_id}','{d.id}','{d.hostname}','\\x{point(d)}')"))
        sql("INSERT INTO streamsight.device_token (token_sha256, company_id, device_id, expires_at) VALUES " +
            values(lambda d: f"(sha256('{d.token}'),'{d.company_id}','{d.id}',now() + interval '1 day')"))
        sql("INSERT INTO streamsight.recording (company_id, id, device_id, hostname, reason, outputs, started_at) VALUES " +
            values(lambda d: f"('{d.company_id}','{d.current}','{d.id}','{d.hostname}','policy','[]',now())"))
        sql("INSERT INTO streamsight.live_recording (company_id, id, device_id, created_at) SELECT company_id, id, device_id, created_at "
            "FROM streamsight.recording WHERE finished_at IS NULL")

    def requests(self, count):
        """So many announcements as they go over the wire, each device's in order."""
        for number in range(count):
            device = self.devices[number % len(self.devices)]
            data = lambda sequence: f"{device.id} {sequence}".encode()
            body = compact(device.signed_segment(device.current, device.next, data(device.next),
                                                 data(device.next - 1) if device.next else None))
            device.next += 1
            yield (f"POST /v1/recordings/{device.current}/segments HTTP/1.1\r\nHost: api.streamsight.test\r\n"
                   f"Authorization: Bearer {device.token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                   ).encode() + body


class System:
    """PostgreSQL, Redis and apid of a ledger's own."""

    def __init__(self, folder, build, ca, workers):
        self.postgres = Postgres(folder / "pg", settings=_POSTGRES)
        self.redis = Redis(folder / "redis", ca)
        self.apid = Apid(folder / "apid", build, self.postgres, self.redis, public_url=URL)
        private_dir(folder, mode=0o711)
        self.postgres.start()
        self.redis.start()
        self.apid.start()
        self.apid.stop()
        text = self.apid.config_file.read_text()
        self.apid.config_file.write_text(text.replace("Workers=4", f"Workers={workers}"))
        self.apid.run()
        self.company = self.apid.create_company("Bench Corp")
        self.apid.admin("bucket", "set", "--company", self.company, "--endpoint", "https://s3.example.org", "--region", "eu-central-1",
                        "--bucket", "recordings", "--prefix", "streamsight", "--access-key-id", "AKIDEXAMPLE", stdin="secret\n")
        self.fleet = Fleet(1000, self.company)
        self.fleet.insert(self.sql)
        self.port, self.pids = self.apid.port, (self.apid.process.pid, self.postgres.process.pid)

    def sql(self, text):
        return self.postgres.sql(text, "streamsight")

    def stop(self):
        for service in (self.apid, self.redis, self.postgres):
            service.stop()


def load(folder, build, port, requests, connections, seconds=None):
    """What tests/bench/load says. Until the requests are used up, or for so long, beginning anew."""
    path = folder / "requests"
    with open(path, "wb") as out:
        for request in requests:
            out.write(b"%08d" % len(request) + request)
    done = subprocess.run([build / "tests/bench/load", str(port), str(connections), path, *([str(seconds)] if seconds else [])],
                          check=True, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout)


def measure(folder, build, port, pids, requests, connections):
    before = [cpu_seconds(pid) for pid in pids]
    result = load(folder, build, port, requests, connections)
    spent = [cpu_seconds(pid) - at for pid, at in zip(pids, before)]
    if result["failed"]:
        raise SystemExit(f"{result['failed']} of {result['requests']} requests failed")
    return {"second": result["requests"] / result["microseconds"] * 1e6, "core": result["requests"] / sum(spent),
            "us": [seconds / result["requests"] * 1e6 for seconds in spent], "p99": result["p99"] / 1000, "requests": result["requests"]}


# What PostgreSQL spends on a segment's row in a transaction of its own: nothing but the row and its two indexes; and as one announcement,
# with all that is asked before. Each client of pgbench is a device; each transaction enters its next segment.
_BARE = """
\\set seq :seq + 1
INSERT INTO streamsight.segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5, size,
        started_at, ended_at, frames, statement)
    VALUES ('{company}', md5('recording' || :client_id::text)::uuid, now(), :seq::integer, '{company}', repeat('k', 200), sha256('x'),
        CASE WHEN :seq::integer > 0 THEN sha256('x') END, '\\x{md5}', 400000, now(), now(), 300, repeat('s', 800));
"""
_ANNOUNCED = """
\\set seq :seq + 1
SELECT * FROM api.offer_signed_segment('pgbench' || :client_id::text, md5('recording' || :client_id::text)::uuid, :seq::integer, sha256('x'),
    CASE WHEN :seq::integer > 0 THEN sha256('x') END, '\\x{md5}', 400000, now(), now(), 300, md5('device' || :client_id::text)::uuid,
    '\\x04'::bytea || sha256(int4send(:client_id::integer)) || sha256(int4send(:client_id::integer)), repeat('s', 800));
"""


def pgbench(folder, system, script, dsn, count):
    """What measure() says, of PostgreSQL alone."""
    clients = 8
    values = lambda row: ",".join(row(n) for n in range(clients))
    system.sql("SET search_path = streamsight; DELETE FROM live_recording WHERE id IN (SELECT md5('recording' || n)::uuid FROM generate_series(0, 99) AS n);"
               "INSERT INTO device (company_id, id, hostname, public_key) VALUES " +
               values(lambda n: f"('{system.company}',md5('device{n}')::uuid,'pgbench','\\x04'::bytea||sha256(int4send({n}))||sha256(int4send({n})))") +
               "ON CONFLICT DO NOTHING; INSERT INTO device_token (token_sha256, company_id, device_id, expires_at) VALUES " +
               values(lambda n: f"(sha256('pgbench{n}'),'{system.company}',md5('device{n}')::uuid,now()+interval '1 day')") + "ON CONFLICT DO NOTHING;"
               "DELETE FROM segment WHERE recording_id IN (SELECT md5('recording' || n)::uuid FROM generate_series(0, 99) AS n);"
               "INSERT INTO live_recording (company_id, id, device_id, created_at) VALUES " +
               values(lambda n: f"('{system.company}',md5('recording{n}')::uuid,md5('device{n}')::uuid,now())"))
    file = folder / "pgbench"
    file.write_text(script.format(company=system.company, md5="00" * 16))
    before, begun = cpu_seconds(system.postgres.process.pid), time.monotonic()
    subprocess.run(["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-t", str(count // clients), "-D", "seq=-1", "-f", file, dsn], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took, spent, done = time.monotonic() - begun, cpu_seconds(system.postgres.process.pid) - before, count // clients * clients
    return {"second": done / took, "core": done / spent, "us": [0, spent / done * 1e6], "requests": done}


def reply_size(system):
    request, = system.fleet.requests(1)
    head, body = request.split(b"\r\n\r\n", 1)
    token = head.split(b"Bearer ")[1].split(b"\r\n")[0].decode()
    answer = Api(system.apid)("POST", head.split()[1].decode(), token=token, data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    return len(answer.content)


def fill(system, options):
    """The ledger of a month: each device's recording of each day, and of each recording the first segments."""
    system.sql("SELECT streamsight.make_partitions(now() - interval '%d days', now())" % options.days)
    # Without foreign keys' checks, which would look at each row that was just made; all indexes are kept.
    system.sql(f"""SET session_replication_role = replica; SET search_path = streamsight; SET synchronous_commit = off;
        INSERT INTO device (company_id, hostname, public_key)
            SELECT '{system.company}', 'pc-' || n || '.example.net', '\\x04'::bytea || sha256(int8send(n)) || sha256(int8send(-n))
            FROM generate_series(1, {options.devices - len(system.fleet.devices)}) AS n;""")
    for day in range(options.days, 0, -1):
        system.sql(f"""SET session_replication_role = replica; SET search_path = streamsight; SET synchronous_commit = off;
            INSERT INTO recording (company_id, id, device_id, hostname, reason, outputs, started_at, created_at, finished_at, ended_at,
                                   end_reason, segments)
                SELECT company_id, gen_random_uuid(), id, hostname, 'policy', '[]', at, at, at + interval '8 h', at + interval '8 h', 'stopped',
                       {options.segments}
                FROM (SELECT *, now() - interval '{day} days' + random() * interval '1 h' AS at FROM device) d;
            INSERT INTO segment (company_id, recording_id, recording_created_at, sequence, bucket_id, object_key, sha256, previous_sha256, md5,
                                 size, frames, started_at, ended_at, offered_at, completed_at)
                SELECT r.company_id, r.id, r.created_at, n, b.id,
                       concat_ws('/', b.prefix, r.company_id, r.device_id, r.id, lpad(n::text, 8, '0') || '-' || encode(h, 'hex') || '.sss'),
                       h, CASE WHEN n > 0 THEN h END, decode(md5(h), 'hex'), 400000, 300, r.created_at + n * interval '{LEDGER_SECONDS} s',
                       r.created_at + (n + 1) * interval '{LEDGER_SECONDS} s', r.created_at, r.created_at
                FROM bucket b, recording r, generate_series(0, {options.segments - 1}) AS n, LATERAL (SELECT sha256(uuid_send(r.id) || int4send(n)) AS h) x
                WHERE r.created_at BETWEEN now() - interval '{day} days' AND now() - interval '{day} days' + interval '1 h';""")
    system.sql("VACUUM ANALYZE")
    system.sql("CHECKPOINT")


def ledger(system):
    """What lies in it: rows, bytes of tables and indexes, levels of the largest unique index."""
    rows = dict(line.split("|") for line in system.sql(
        "SELECT split_part(relname, '_2', 1), sum(reltuples)::bigint FROM pg_class WHERE relnamespace = 'streamsight'::regnamespace AND relispartition "
        "AND relkind = 'r' GROUP BY 1 UNION ALL SELECT relname, reltuples::bigint FROM pg_class WHERE oid = 'streamsight.device'::regclass").splitlines())
    size = system.sql("SELECT sum(pg_table_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class WHERE relnamespace = 'streamsight'::regnamespace AND relkind = 'r'")
    table, indexes = map(int, size.split("|"))
    return {"rows": {name: int(count) for name, count in rows.items()}, "table_bytes": table, "index_bytes": indexes}


def flood(folder, build, system, requests):
    """Latency of devices' requests alone, and while everybody logs in: [without, with] in ms."""
    half = len(requests) // 2
    quiet = load(folder, build, system.port, requests[:half], 4)
    bodies = [compact({"email": f"nobody{n}@example.org", "password": "correct horse battery staple"}) for n in range(1000)]
    logins = [b"POST /v1/auth/login HTTP/1.1\r\nHost: api.streamsight.test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
              for body in bodies]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        attackers = private_dir(folder / "flood")
        under_way = pool.submit(load, attackers, build, system.port, logins, 64, seconds=20)
        time.sleep(1)
        busy = load(folder, build, system.port, requests[half:], 4)
        meanwhile = under_way.result()
    if quiet["failed"] or busy["failed"]:
        raise SystemExit("a device's request failed")
    return {"quiet": quiet["p99"] / 1000, "flood": busy["p99"] / 1000, "logins": meanwhile["requests"] / meanwhile["microseconds"] * 1e6}


def references(folder, build, system, size, workers):
    """{name: (port, pids, Process)} of what apid is compared with."""
    started = {}
    dsn = system.apid.database_dsn
    for name, arguments in (("constant", []), ("constant, after a round trip to the database", [dsn])):
        port = free_port()
        process = Process("constant", [build / "tests/bench/constant", port, workers, size, *arguments], log=folder / "constant.log")
        process.wait_for_port(port)
        started[name] = (port, (process.pid, *([system.postgres.process.pid] if arguments else [])), process)
    nginx, port = private_dir(folder / "nginx", mode=0o711), free_port()
    private_dir(nginx / "tmp", mode=0o711)
    (nginx / "reply").write_bytes(b"x" * size)
    (nginx / "nginx.conf").write_text(_NGINX.format(dir=nginx, port=port, workers=os.cpu_count(),
                                                    user="user www-data;" if os.geteuid() == 0 else ""))
    process = Process("nginx", [find_program("nginx"), "-p", nginx, "-c", nginx / "nginx.conf", "-e", nginx / "error.log"], log=nginx / "out")
    process.wait_for_port(port)
    started["nginx, static"] = (port, (process.pid,), process)
    return started


def print_table(results, latency, held, size, options):
    constant = results["constant"]
    print(f"{'':46}  replies/s  /s of one core  ÷ constant  µs of the server + PostgreSQL")
    for name, one in results.items():
        print(f"{name:46}  {one['second']:9,.0f}  {one['core']:14,.0f}  {one['core'] / constant['core']:10.2f}  "
              + " + ".join(f"{us:.0f}" for us in one["us"]))
    presign, trip, full = (results[name]["core"] for name in ("presign", "constant, after a round trip to the database", "presign, full ledger"))
    print(f"\n{'':38}  measured    aim")
    for name, measured, aim in (("presign ÷ constant after a round trip", presign / trip, 0.35), ("presigns/s of one core", presign, 5000),
                                ("full ledger ÷ empty ledger", full / presign, 0.9)):
        digits = 0 if aim > 100 else 2
        print(f"{name:38}  {measured:8,.{digits}f}  {aim:5,.{digits}f}  {'reached' if measured >= aim else 'MISSED'}")
    print()
    print(f"WAL bytes for one presign              {results['presign']['wal']:,.0f}; full ledger: {results['presign, full ledger']['wal']:,.0f}")
    print(f"p99 of devices' requests               {latency['quiet']:.1f} ms; while {latency['logins']:.0f} logins/s are asked for: "
          f"{latency['flood']:.1f} ms")
    print(f"full ledger                            " + ", ".join(f"{count:,} {name}s" for name, count in held["rows"].items() if count > 0) +
          f"; {held['table_bytes'] / 1e9:.1f} GB and {held['index_bytes'] / 1e9:.1f} GB of indexes")
    print(f"\n{options.requests} requests of {options.connections} connections, {options.workers} threads, median of {options.rounds} rounds. Replies have "
          f"{size} bytes.\n“Of one core”: replies for each second of processor time of the server and PostgreSQL together, without the client.\n"
          f"“PostgreSQL:” is pgbench with a transaction for each row: a segment's row and its indexes alone, and the procedure that checks it as well.\n"
          f"A real month of {options.devices:,} devices that record 8 hours a day has {options.devices * options.days * 480:,} segments: "
          f"here {options.segments} of each\nrecording's 480 stand for all; an index over all of them is one level deeper.")


def median(measured):
    """Of the rounds, by what one core does."""
    return sorted(measured, key=lambda one: one["core"])[len(measured) // 2]


def run(options, folder, progress):
    ca = CertificateAuthority(folder / "ca")
    systems, started = {}, {}
    try:
        with progress.step("servers"):
            for name in ("presign", "presign, full ledger"):
                systems[name] = System(folder / f"s{len(systems)}", options.build, ca, options.workers)
        empty, full = systems.values()
        size = reply_size(empty)
        started = references(folder, options.build, empty, size, options.workers)
        with progress.step(f"a ledger of {options.devices:,} devices × {options.days} days × {options.segments} segments"):
            fill(full, options)
            held = ledger(full)
        floors = {"PostgreSQL: a row": (_BARE, empty.postgres.owner_dsn("streamsight")),
                  "PostgreSQL: one announcement": (_ANNOUNCED, empty.apid.database_dsn)}
        measured = {name: [] for name in [*systems, *started, *floors]}
        for number in range(options.rounds):
            with progress.step(f"round {number + 1}: sign requests"):
                requests = {name: list(system.fleet.requests(options.requests)) for name, system in systems.items()}
            for name, system in systems.items():
                with progress.step(f"round {number + 1}: {name}"):
                    system.sql("CHECKPOINT")
                    before = system.sql("SELECT pg_current_wal_lsn()")
                    result = measure(folder, options.build, system.port, system.pids, requests[name], options.connections)
                    result["wal"] = float(system.sql(f"SELECT pg_current_wal_lsn() - '{before}'")) / result["requests"]
                    measured[name].append(result)
            for name, (port, pids, _) in started.items():
                with progress.step(f"round {number + 1}: {name}"):
                    some = [requests["presign"][0]] * options.requests if "nginx" not in name else \
                        [b"GET /reply HTTP/1.1\r\nHost: localhost\r\n\r\n"] * options.requests
                    measured[name].append(measure(folder, options.build, port, pids, some * 2, options.connections))
            for name, (script, dsn) in floors.items():
                with progress.step(f"round {number + 1}: {name}"):
                    measured[name].append(pgbench(folder, empty, script, dsn, options.requests))
        with progress.step("a flood of logins"):
            latency = flood(folder, options.build, empty, list(empty.fleet.requests(8000)))
        results = {name: median(rounds) for name, rounds in measured.items()}
        print_table(results, latency, held, size, options)
        if options.json:
            options.json.write_text(json.dumps({"rounds": measured, "flood": latency, "ledger": held, "reply_bytes": size}, indent=1))
    finally:
        for _, _, process in started.values():
            process.stop()
        for system in systems.values():
            system.stop()


def main():
    options = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="streamsight-bench-"))
    folder.chmod(0o711)
    try:
        run(options, folder, Progress())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
