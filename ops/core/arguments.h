// The arguments of the operators VideoInput and AVInput: the original's names and defaults, and a few of ours.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/common/watch.h"

namespace vmz {

enum DecodeType { kRandom = 0, kUniform = 1, kFromStartFrame = 2 };
enum VideoResType { kFixedSize = 0, kShortEdge = 1, kOriginalSize = 2 };
enum FlowAlgType { kFarneback = 0, kDis = 3 };

enum AlignAudio { kNoAlignment = 0, kStretched = 1, kAtStart = 2, kCentred = 3 };

// What AVInput has beyond VideoInput: the log-mels of a video's sound. Flags are 0 or 1.
struct AudioArgs {
  int get_logmels = 0;
  int logmel_frames = 100;  // rows of a clip's log-mels
  int logmel_filters = 40;  // columns
  int logmel_winsize_ms = 16;
  int logmel_winstep_ms = 10;
  int logmel_audio_sr = 16000;  // samples a second
  int align_audio = kStretched;
  int audio_length = 0;  // frames that the rows cover with align_audio 2 and 3; 0: as many as they last
  int tune_audio_step = 0;
  // Ours
  std::string on_missing_audio = "zeros";  // or "stop": an error; or "skip": leave the video out and list it
  int audio_timestamps = 0;                // 1: sound lies where its timestamps say; the original ignores them
  int get_without_sound = 0;               // a last output: the videos that got zeros because their sound is missing

  // Samples of a window, and from one window to the next.
  int64_t window() const {
    return int64_t{logmel_winsize_ms} * logmel_audio_sr / 1000;
  }
  int64_t step(int64_t milliseconds) const {
    return milliseconds * logmel_audio_sr / 1000;
  }
  // float32 values of one row of the batch.
  int64_t row_values() const {
    return get_logmels ? int64_t{logmel_frames} * logmel_filters : 0;
  }
  // Throws RequestError, naming the argument.
  void check() const;
};

// Flags are 0 or 1, sizes are pixels, lengths and rates are frames.
struct VideoInputArgs {
  int batch_size = 0;
  int clip_per_video = 1;
  std::vector<int> clip_start_positions;
  int crop_size = 0;
  int scale_h = 0;
  int scale_w = 0;
  int short_edge = 0;
  int video_res_type = kFixedSize;
  std::vector<int> jitter_scales;
  int length_rgb = 0;
  int sampling_rate_rgb = 1;
  int random_sampling_rate = 0;
  int length_of = 0;
  int sampling_rate_of = 1;
  int frame_gap_of = 1;
  int flow_data_type = 0;
  int flow_alg_type = 0;
  int do_flow_aggregation = 1;
  int decode_type = kRandom;
  int random_mirror = 1;
  int random_crop = 1;
  int crop_per_clip = 1;
  int get_rgb = 1;
  int get_optical_flow = 0;
  int get_video_id = 0;
  int get_start_frame = 0;
  int do_multi_label = 0;
  int num_of_class = 0;
  int use_local_file = 0;
  int image_as_input = 0;
  int num_decode_threads = 4;
  // Ours
  std::string on_bad_video = "stop";  // or "skip": leave it out of the batch and list it
  int wrap_around = 1;                // 0: one pass, then EndOfData; the last batch may be short
  int64_t seed = 0;                   // of the random crops, mirrors and starts; 0: from the system's entropy
  int shuffle = 0;                    // 1: each turn has an order of its own, drawn from the seed
  int shard_index = 0;                // which share this reader takes of each global batch, of
  int shard_count = 1;                // batch_size * shard_count videos
  int64_t first_position = 0;         // videos of this reader's own stream to pass over before the first one
  int get_record_index = 0;           // an output: the place of each video in the database
  int get_position = 0;               // an output: the first_position of a reader that is to go on after this batch
  int get_skipped = 0;                // an output: the records that gave no clips
  int get_ended_early = 0;            // a last output: the videos whose reading stopped before their end
  int64_t max_frames = 0;             // frames read of a video at most, from its start; 0: all. The original: 10000
  int video_timeout = kVideoTimeout;  // seconds that a video may go without a new frame; 0: any
  int fps = 0;                        // frames shown at so many times a second; 0: every frame, as the original
  int autorotate = 0;                 // 1: turn the frames as the video's metadata ask; the original does not
  int original_start_faults = 0;  // 1: find start frames, draw random clips by what the stream states, as it does

  bool is_av_input = false;  // whose arguments they are
  AudioArgs audio;           // of AVInput only

  // Whether frames are read at all.
  bool sees() const {
    return get_rgb || get_optical_flow;
  }
  // Clips a video: explicit start positions set it.
  int64_t clips() const {
    return clip_start_positions.empty() ? clip_per_video : static_cast<int64_t>(clip_start_positions.size());
  }
  // Rows of the batch that one video fills.
  int64_t rows() const {
    return clips() * crop_per_clip;
  }
  // float32 values of one row, and of one video: of the RGB clips, and of the flow.
  int64_t row_values() const {
    return get_rgb ? int64_t{3} * length_rgb * crop_size * crop_size : 0;
  }
  int64_t video_values() const {
    return rows() * row_values();
  }
  int64_t flow_video_values() const {
    return get_optical_flow ? rows() * flow_channels() * length_of * crop_size * crop_size : 0;
  }
  int64_t logmel_video_values() const {
    return rows() * audio.row_values();
  }
  // By flow_data_type: dx, dy; and the magnitude; and gray; and R, G, B.
  int64_t flow_channels() const {
    return flow_data_type == 0 ? 2 : flow_data_type == 3 ? 5 : 3;
  }
  // What each video's short edge is drawn from, if it is drawn: train_net writes jitter_scales into every net, but only
  // with video_res_type=1 there is a short edge.
  std::vector<int> drawn_edges() const {
    return video_res_type == kShortEdge ? jitter_scales : std::vector<int>();
  }
  // Whether records are read one after the other from where the database stands, not by ReadingOrder.
  bool in_database_order() const {
    return !shuffle && shard_count == 1 && first_position == 0;
  }

  // Throws RequestError, naming the argument, for every combination that the operator cannot do.
  void check() const;
};

// Calls visit(name, field) for every argument that AVInput has beyond VideoInput.
template <class Args, class Visit>
void for_each_audio_argument(Args& audio, Visit&& visit) {
  visit("get_logmels", audio.get_logmels);
  visit("logmel_frames", audio.logmel_frames);
  visit("logmel_filters", audio.logmel_filters);
  visit("logmel_winsize_ms", audio.logmel_winsize_ms);
  visit("logmel_winstep_ms", audio.logmel_winstep_ms);
  visit("logmel_audio_sr", audio.logmel_audio_sr);
  visit("align_audio", audio.align_audio);
  visit("audio_length", audio.audio_length);
  visit("tune_audio_step", audio.tune_audio_step);
  visit("on_missing_audio", audio.on_missing_audio);
  visit("audio_timestamps", audio.audio_timestamps);
  visit("get_without_sound", audio.get_without_sound);
}

// Calls visit(name, field) for every argument of VideoInput: the one list of them.
template <class Args, class Visit>
void for_each_argument(Args& args, Visit&& visit) {
  visit("batch_size", args.batch_size);
  visit("clip_per_video", args.clip_per_video);
  visit("clip_start_positions", args.clip_start_positions);
  visit("crop_size", args.crop_size);
  visit("scale_h", args.scale_h);
  visit("scale_w", args.scale_w);
  visit("short_edge", args.short_edge);
  visit("video_res_type", args.video_res_type);
  visit("jitter_scales", args.jitter_scales);
  visit("length_rgb", args.length_rgb);
  visit("sampling_rate_rgb", args.sampling_rate_rgb);
  visit("random_sampling_rate", args.random_sampling_rate);
  visit("length_of", args.length_of);
  visit("sampling_rate_of", args.sampling_rate_of);
  visit("frame_gap_of", args.frame_gap_of);
  visit("flow_data_type", args.flow_data_type);
  visit("flow_alg_type", args.flow_alg_type);
  visit("do_flow_aggregation", args.do_flow_aggregation);
  visit("decode_type", args.decode_type);
  visit("random_mirror", args.random_mirror);
  visit("random_crop", args.random_crop);
  visit("crop_per_clip", args.crop_per_clip);
  visit("get_rgb", args.get_rgb);
  visit("get_optical_flow", args.get_optical_flow);
  visit("get_video_id", args.get_video_id);
  visit("get_start_frame", args.get_start_frame);
  visit("do_multi_label", args.do_multi_label);
  visit("num_of_class", args.num_of_class);
  visit("use_local_file", args.use_local_file);
  visit("image_as_input", args.image_as_input);
  visit("num_decode_threads", args.num_decode_threads);
  visit("on_bad_video", args.on_bad_video);
  visit("wrap_around", args.wrap_around);
  visit("seed", args.seed);
  visit("shuffle", args.shuffle);
  visit("shard_index", args.shard_index);
  visit("shard_count", args.shard_count);
  visit("first_position", args.first_position);
  visit("get_record_index", args.get_record_index);
  visit("get_position", args.get_position);
  visit("get_skipped", args.get_skipped);
  visit("get_ended_early", args.get_ended_early);
  visit("max_frames", args.max_frames);
  visit("video_timeout", args.video_timeout);
  visit("fps", args.fps);
  visit("autorotate", args.autorotate);
  visit("original_start_faults", args.original_start_faults);
}

}  // namespace vmz
