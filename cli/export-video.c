/* SPDX-License-Identifier: Apache-2.0 */
#include "export-video.h"

#include <string.h>
#include <time.h>

#include <libavformat/avformat.h>

#include "export-image.h"

struct ExportVideo {
        const char *path;
        AVFormatContext *format;
        bool has_header;
        Buffer jpeg; /* the picture shown last: written when it is known for how long */
        uint64_t start, time;
        int64_t last; /* its timestamp in the stream's units */
        uint32_t width, height;
};

static int failed(const ExportVideo *video, int error) {
        char text[AV_ERROR_MAX_STRING_SIZE] = "";

        av_strerror(error, text, sizeof(text));
        export_message("%s: %s", video->path, text);
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

ExportVideo *export_video_free(ExportVideo *video) {
        if (!video)
                return NULL;
        if (video->format) {
                avio_closep(&video->format->pb);
                avformat_free_context(video->format);
        }
        buffer_done(&video->jpeg);
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

static int open_file(ExportVideo *video) {
        _cleanup_free_ char *url = NULL;
        AVStream *stream;
        int r;

        /* A path, whatever it looks like: "http:" is a file's name here. */
        if (asprintf(&url, "file:%s", video->path) < 0)
                return -ENOMEM;
        r = avformat_alloc_output_context2(&video->format, NULL, "matroska", url);
        if (r < 0)
                return failed(video, r);
        if (!(stream = avformat_new_stream(video->format, NULL)))
                return -ENOMEM;
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
        if (r < 0)
                return failed(video, r);
        video->has_header = true;
        return 0;
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

int export_video_show(ExportVideo *video, const SegmentCanvas *canvas, uint64_t time) {
        int r;

        if (!video->has_header) {
                video->start = time;
                video->width = canvas->width;
                video->height = canvas->height;
                r = open_file(video);
        } else {
                if (time < video->time)
                        time = video->time;
                r = write_picture(video, time);
        }
        if (r < 0)
                return r;
        video->time = time;
        r = export_jpeg_encode(canvas, &video->jpeg);
        if (r < 0)
                export_message("%s: a picture cannot be encoded", video->path);
        return r;
}

int export_video_finish(ExportVideo *video, uint64_t time) {
        int r;

        if (!video->has_header) {
                export_message("%s: there is no picture to write", video->path);
                return -ENODATA;
        }
        r = write_picture(video, time > video->time ? time : video->time + 1000);
        if (r < 0)
                return r;
        r = av_write_trailer(video->format);
        if (r >= 0)
                r = avio_closep(&video->format->pb);
        return r < 0 ? failed(video, r) : 0;
}
