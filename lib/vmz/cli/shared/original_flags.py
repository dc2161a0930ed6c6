"""The flags of the original's tools, by name: each is accepted here by the tool of the same name.

An abbreviation that was unique in the original stays so, whatever flags are added here.
"""

from __future__ import annotations

ORIGINAL_FLAGS: dict[str, tuple[str, ...]] = {
    tool: tuple(names.split())
    for tool, names in {
        "train_net": """
            model_name model_depth train_data test_data db_type gpus num_gpus scale_h scale_w crop_size
            num_decode_threads clip_length_rgb sampling_rate_rgb num_labels num_channels clip_length_of
            sampling_rate_of frame_gap_of input_type flow_data_type do_flow_aggregation get_video_id
            batch_size epoch_size num_epochs base_learning_rate step_epoch gamma display_iter weight_decay
            cudnn_workspace_limit_mb file_store_path save_model_name load_model_path use_cudnn profiling
            pred_layer_name multi_label channel_multiplier bottleneck_multiplier use_dropout
            conv1_temporal_stride conv1_temporal_kernel video_res_type use_pool1 jitter_scales
            use_local_file is_checkpoint audio_input_3d g_blend audio_weight visual_weight av_weight
        """,
        "test_net": """
            test_data db_type model_depth model_name gpus num_gpus scale_h scale_w num_iter crop_size
            clip_length_rgb sampling_rate_rgb num_labels num_channels batch_size clip_per_video top_k
            aggregation load_model_path use_cudnn print_per_class_metrics pred_layer_name multi_label
            display_iter clip_length_of sampling_rate_of frame_gap_of do_flow_aggregation flow_data_type
            input_type num_decode_threads channel_multiplier bottleneck_multiplier use_dropout
            conv1_temporal_stride conv1_temporal_kernel use_convolutional_pred video_res_type use_pool1
            use_local_file crop_per_clip
        """,
        "test_net_large": """
            test_data db_type model_depth model_name gpus num_gpus scale_h scale_w num_iter crop_size
            clip_length_rgb sampling_rate_rgb num_labels num_channels batch_size clip_per_video top_k
            aggregation load_model_path use_cudnn print_per_class_metrics pred_layer_name multi_label
            display_iter clip_length_of sampling_rate_of frame_gap_of do_flow_aggregation flow_data_type
            input_type num_decode_threads channel_multiplier bottleneck_multiplier use_dropout
            conv1_temporal_stride conv1_temporal_kernel use_convolutional_pred video_res_type use_pool1
            use_local_file crop_per_clip crop_per_inference
        """,
        "extract_features": """
            db_type model_name model_depth gpus num_gpus scale_h scale_w crop_size clip_length_rgb
            sampling_rate_rgb num_labels num_channels batch_size load_model_path test_data output_path
            use_cudnn features num_iterations num_decode_threads clip_length_of sampling_rate_of
            frame_gap_of input_type flow_data_type do_flow_aggregation clip_per_video get_video_id
            multi_label sanity_check decode_type channel_multiplier use_dropout save_h5
            bottleneck_multiplier get_start_frame use_convolutional_pred video_res_type use_pool1
            use_local_file crop_per_clip
        """,
        "dense_prediction_aggregation": """
            input_dir output_clip_accuracy max_clip
        """,
        "dense_prediction_fusion": """
            input_dir1 input_dir2 file_count alpha
        """,
        "minidb_to_pickle": """
            load_model_path save_model_path db_type
        """,
        "create_video_db": """
            list_file output_file use_list use_video_id use_start_frame num_epochs
        """,
    }.items()
}
