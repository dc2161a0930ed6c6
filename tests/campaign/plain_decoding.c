// What the FFmpeg that the C++ operator is linked with makes of a file, by its plainest use: see plain_decoding.py.
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>

static uint32_t sum_of(const AVFrame* frame) {  // Adler's, of as many bytes a row as there are pixels
  const AVPixFmtDescriptor* planes = av_pix_fmt_desc_get(frame->format);
  uint32_t a = 1, b = 0;
  for (int plane = 0; plane < av_pix_fmt_count_planes(frame->format); ++plane) {
    const int chroma = plane == 1 || plane == 2;
    const int width = chroma ? AV_CEIL_RSHIFT(frame->width, planes->log2_chroma_w) : frame->width;
    const int height = chroma ? AV_CEIL_RSHIFT(frame->height, planes->log2_chroma_h) : frame->height;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        a = (a + frame->data[plane][y * frame->linesize[plane] + x]) % 65521;
        b = (b + a) % 65521;
      }
    }
  }
  return b << 16 | a;
}

static int receive(AVCodecContext* codec, AVFrame* frame) {
  int status;
  while ((status = avcodec_receive_frame(codec, frame)) == 0) {
    printf("frame %" PRId64 " %dx%d %u\n", frame->pts, frame->width, frame->height, sum_of(frame));
  }
  return status == AVERROR(EAGAIN) || status == AVERROR_EOF ? 0 : status;
}

int main(int argc, char** argv) {
  AVFormatContext* format = NULL;
  AVStream* stream = NULL;
  av_log_set_level(AV_LOG_QUIET);
  if (argc < 2 || avformat_open_input(&format, argv[1], NULL, NULL) < 0 || avformat_find_stream_info(format, NULL) < 0) {
    puts("not opened");
    return 0;
  }
  for (unsigned i = 0; i < format->nb_streams && stream == NULL; ++i) {
    AVStream* one = format->streams[i];
    const int cover = one->disposition & AV_DISPOSITION_ATTACHED_PIC;
    if (one->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !cover) {
      stream = one;
    }
  }
  const AVCodec* decoder = stream == NULL ? NULL : avcodec_find_decoder(stream->codecpar->codec_id);
  AVCodecContext* codec = decoder == NULL ? NULL : avcodec_alloc_context3(decoder);
  if (codec == NULL || avcodec_parameters_to_context(codec, stream->codecpar) < 0) {
    puts("no stream");
    return 0;
  }
  codec->pkt_timebase = stream->time_base;
  codec->thread_count = 1;
  if (avcodec_open2(codec, decoder, NULL) < 0) {
    puts("not opened");
    return 0;
  }
  printf("%" PRId64 " frames, %" PRId64 "\n", stream->nb_frames, stream->duration);
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  int status;
  while ((status = av_read_frame(format, packet)) == 0) {
    if (packet->stream_index == stream->index && packet->size > 0) {
      printf("packet %" PRId64 " %" PRId64 " %d\n", packet->pts, packet->dts, packet->flags & 1);
      if ((status = avcodec_send_packet(codec, packet)) < 0 || (status = receive(codec, frame)) < 0) {
        puts("ended");
        return 0;
      }
    }
    av_packet_unref(packet);
  }
  avcodec_send_packet(codec, NULL);
  puts(receive(codec, frame) < 0 ? "ended" : status == AVERROR_EOF ? "whole" : "cannot be read");
  return 0;
}
