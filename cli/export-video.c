/* SPDX-License-Identifier: Apache-2.0 */
#include "export-video.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libavformat/avformat.h>

#include "export-image.h"

/* The display's size changes that often at most; a damaged recording is not to fill the disk with files. */
#define PARTS_MAX 99U

struct ExportVideo {
        const char *path;
        char *part_path; /* of the part that is written */
        unsigned part;   /* from 1; 0: none yet */
        AVFormatContext *format;
        Buffer jpeg; /* the picture shown last: written when it is known for how long */
        uint64_t start, time;
        int64_t last; /* its timestamp in the stream's units */
        uint32_t width, height;
};

static int failed(const ExportVideo *video, int error) {
        char text[AV_ERROR_MAX_STRING_SIZE] = "";

        av_strerror(error, text, sizeof(text));
        export_message("%s: %s", video->part_path, text);
        return error == AVERROR(ENOMEM) ? -ENOMEM : -EIO;
}

int export_video_new(ExportVideo **ret, const char *path) {
        ExportVideo *video = calloc(1, sizeof(*video));

        if (!video)
                return -ENOMEM;
        video->path = path;
        video->jpeg.max = SIZE_MAX / 2;
        video->last = -1;
        *ret = video;
        return 0;
}

static void close_file(ExportVideo *video) {
        if (!video->format)
                return;
        avio_closep(&video->format->pb);
        avformat_free_context(video->format);
        video->format = NULL;
}

ExportVideo *export_video_free(ExportVideo *video) {
        if (!video)
                return NULL;
        close_file(video);
        buffer_done(&video->jpeg);
        free(video->part_path);
        free(video);
        return NULL;
}

static void set_creation_time(ExportVideo *video) {
        time_t seconds = (time_t) (video->start / 1000000);
        char text[40];
        struct tm tm;

        if (gmtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
                av_dict_set(&video->format->metadata, "creation_time", text, 0);
}

/* The first part has the name that was given; a later one's nobody gave, so it takes no file's place. */
static int name_part(ExportVideo *video) {
        size_t stem = strlen(video->path) - strlen(".mkv");
        char *path;
        int r;

        if (video->part == PARTS_MAX) {
                export_message("%s: the display's size changes too often", video->path);
                return -E2BIG;
        }
        r = video->part == 0 ? asprintf(&path, "%s", video->path)
                             : asprintf(&path, "%.*s-%u%s", (int) stem, video->path, video->part + 1,
                                        video->path + stem);
        if (r < 0)
                return -ENOMEM;
        free(video->part_path);
        video->part_path = path;
        video->part++;
        if (video->part == 1)
                return 0;
        if (access(path, F_OK) == 0) {
                export_message("%s: exists already", path);
                return -EEXIST;
        }
        export_message("the display has another size from here on: the video goes on in %s", path);
        return 0;
}

static int open_file(ExportVideo *video) {
        _cleanup_free_ char *url = NULL;
        AVStream *stream;
        int r;

        r = name_part(video);
        if (r < 0)
                return r;
        /* A path, whatever it looks like: "http:" is a file's name here. */
        if (asprintf(&url, "file:%s", video->part_path) < 0)
                return -ENOMEM;
        r = avformat_alloc_output_context2(&video->format, NULL, "matroska", url);
        if (r < 0)
                return failed(video, r);
        if (!(stream = avformat_new_stream(video->format, NULL))) {
                close_file(video);
                return -ENOMEM;
        }
        stream->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
        stream->codecpar->codec_id = AV_CODEC_ID_MJPEG;
        stream->codecpar->format = AV_PIX_FMT_YUVJ444P;
        stream->codecpar->width = (int) video->width;
        stream->codecpar->height = (int) video->height;
        stream->time_base = (AVRational){ 1, 1000 };
        set_creation_time(video);
        r = avio_open(&video->format->pb, url, AVIO_FLAG_WRITE);
        if (r >= 0)
                r = avformat_write_header(video->format, NULL);
        if (r >= 0)
                return 0;
        close_file(video);
        return failed(video, r);
}

/* Writes the picture that was shown until now. */
static int write_picture(ExportVideo *video, uint64_t until) {
        AVRational unit = video->format->streams[0]->time_base;
        AVPacket *packet = av_packet_alloc();
        int64_t from, to;
        int r;

        if (!packet)
                return -ENOMEM;
        from = av_rescale_q((int64_t) (video->time - video->start), (AVRational){ 1, 1000000 }, unit);
        to = av_rescale_q((int64_t) (until - video->start), (AVRational){ 1, 1000000 }, unit);
        /* Two within one unit of time: the second is a unit late. */
        if (from <= video->last)
                from = video->last + 1;
        packet->data = video->jpeg.data;
        packet->size = (int) video->jpeg.size;
        packet->pts = packet->dts = from;
        packet->duration = to > from ? to - from : 1;
        packet->flags = AV_PKT_FLAG_KEY;
        video->last = from;
        r = av_write_frame(video->format, packet);
        av_packet_free(&packet);
        return r < 0 ? failed(video, r) : 0;
}

/* The part's last picture is shown until that time. */
static int finish_part(ExportVideo *video, uint64_t until) {
        int r;

        r = write_picture(video, until > video->time ? until : video->time + 1000);
        if (r < 0)
                return r;
        r = av_write_trailer(video->format);
        if (r >= 0)
                r = avio_closep(&video->format->pb);
        if (r < 0)
                return failed(video, r);
        close_file(video);
        return 0;
}

static int begin_part(ExportVideo *video, const SegmentCanvas *canvas, uint64_t time) {
        video->start = time;
        video->last = -1;
        video->width = canvas->width;
        video->height = canvas->height;
        return open_file(video);
}

int export_video_show(ExportVideo *video, const SegmentCanvas *canvas, uint64_t time) {
        bool other_size = canvas->width != video->width || canvas->height != video->height;
        int r = 0;

        if (time < video->time)
                time = video->time;
        if (video->format)
                r = other_size ? finish_part(video, time) : write_picture(video, time);
        if (r >= 0 && !video->format)
                r = begin_part(video, canvas, time);
        if (r < 0)
                return r;
        video->time = time;
        r = export_jpeg_encode(canvas, &video->jpeg);
        if (r < 0)
                export_message("%s: a picture cannot be encoded", video->part_path);
        return r;
}

int export_video_finish(ExportVideo *video, uint64_t time) {
        if (!video->format) {
                /* If it is only a later part that is missing, that was said. */
                if (video->part == 0)
                        export_message("%s: there is no picture to write", video->path);
                return -ENODATA;
        }
        return finish_part(video, time);
}
