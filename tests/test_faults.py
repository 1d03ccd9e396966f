"""Inputs that once went wrong, and the tests that hold what is right: a name for each leads to them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TABLES = "tests/data/test_tables.py"
SERIES = "tests/systems/regression/test_series.py"
COMMAND = "tests/test_cli.py"
FOLDERS = "tests/data/test_image_folders.py"
IMAGES = "tests/data/test_user_images.py"
CLASSIFIER = "tests/systems/images/test_deployment.py"
DEPLOYMENT = "tests/learners/test_deployment.py"
BATCHES = "tests/learners/test_batches.py"
CONTRACT = "tests/experiments/test_contract.py"
STORE = "tests/learners/test_weight_store.py"
VECTORS = "tests/core/test_weight_vectors.py"

FAULTS = {
    # A measured series.
    "a quote that never closes swallows rows": (f"{TABLES}::test_what_cannot_be_used_is_refused_by_name",),
    "rows longer than the header are cut": (f"{TABLES}::test_what_cannot_be_used_is_refused_by_name",),
    "semicolons, tabs and decimal commas": (f"{TABLES}::test_what_is_recognised_is_read_and_said",),
    "a decimal mark taken from notes": (
        f"{TABLES}::test_what_csv_writers_write_is_read_whatever_stands_beside_numbers",
    ),
    "a line that is lost": (
        f"{TABLES}::test_no_line_is_lost_whatever_its_cells_are",
        f"{TABLES}::test_every_row_is_read_or_dropped_and_named",
    ),
    "Latin-1, UTF-16, a byte order mark": (
        f"{TABLES}::test_what_is_recognised_is_read_and_said",
        f"{TABLES}::test_every_row_is_read_or_dropped_and_named",
    ),
    "comments, notes and units around the header": (
        f"{TABLES}::test_what_is_recognised_is_read_and_said",
        f"{TABLES}::test_what_cannot_be_used_is_refused_by_name",
    ),
    "dates, with and without a zone": (
        f"{TABLES}::test_iso_times_become_seconds_and_keep_their_text",
        f"{TABLES}::test_times_are_kept_in_utc",
        f"{SERIES}::test_a_daily_rhythm_is_learned_where_x_is_time",
    ),
    "missing and infinite cells": (
        f"{TABLES}::test_what_cannot_be_used_is_refused_by_name",
        f"{TABLES}::test_every_row_is_read_or_dropped_and_named",
    ),
    "numbers with thousands marks": (
        f"{TABLES}::test_what_cannot_be_used_is_refused_by_name",
        f"{TABLES}::test_what_is_recognised_is_read_and_said",
    ),
    "positions at epoch scale lose digits": (
        f"{TABLES}::test_epochs_and_long_names_are_read_back_to_the_last_digit",
        f"{TABLES}::test_nanoseconds_since_1970_are_told_apart",
    ),
    "names with commas, or that an output has": (
        f"{TABLES}::test_epochs_and_long_names_are_read_back_to_the_last_digit",
        f"{TABLES}::test_what_is_written_is_read_back",
    ),
    "positions at epoch scale that repeat": (f"{SERIES}::test_positions_at_epoch_scale_that_repeat_are_learned",),
    "some outputs are written and others not": (
        f"{COMMAND}::test_outputs_appear_together_or_not_at_all",
        f"{COMMAND}::test_a_file_in_the_place_of_the_outputs_is_named_before_anything_is_learned",
        "tests/experiments/images/test_deploying.py::test_outputs_appear_together_or_not_at_all",
    ),
    "measurements of 1e200 and 1.2e308": (
        f"{SERIES}::test_measurements_of_any_size_are_scaled_first",
        f"{SERIES}::test_what_cannot_be_learned_is_refused",
        f"{COMMAND}::test_an_unusable_series_is_refused_with_the_reason",
    ),
    "errors that are not JSON": (
        f"{COMMAND}::test_what_comes_with_the_package_learns_a_file_without_a_run",
        f"{COMMAND}::test_deploy_as_json_says_the_same_as_its_file_and_its_page_how_to_repeat_it",
        "tests/experiments/images/test_deploying.py::test_errors_are_strict_json_and_agree_with_the_predictions",
    ),
    "names with dollar signs, markup or characters that fonts lack": (
        f"{COMMAND}::test_what_comes_with_the_package_learns_a_file_without_a_run",
        f"{COMMAND}::test_names_that_look_like_markup_stay_as_they_are_and_long_ones_are_cut",
        "tests/reports/test_page.py::test_hostile_text_stays_text_wherever_it_stands",
    ),
    "an outlier squeezes a series into one value": (
        f"{SERIES}::test_an_outlier_is_warned_of_with_its_place_and_the_remedy",
        f"{COMMAND}::test_an_outlier_is_warned_of_with_its_line_and_time",
    ),
    "a verb that a run lacks, data of another kind": (
        f"{CONTRACT}::test_a_verb_that_it_lacks_is_refused_with_what_it_can",
        f"{CONTRACT}::test_data_of_another_kind_are_refused_with_what_learns_them",
        f"{CONTRACT}::test_it_learns_a_folder_or_a_table_if_it_can_be_deployed",
        f"{CONTRACT}::test_compared_with_a_copy_of_itself_it_differs_in_nothing",
    ),
    # Images and labels.
    "a label of -100 learns nothing": (
        f"{CLASSIFIER}::test_a_label_out_of_range_is_refused_with_the_range",
        f"{BATCHES}::test_a_label_that_no_output_stands_for_is_refused",
    ),
    "a label of -1 or the number of outputs": (
        f"{CLASSIFIER}::test_a_label_out_of_range_is_refused_with_the_range",
        f"{BATCHES}::test_a_label_that_no_output_stands_for_is_refused",
    ),
    "labels of any width, lists, columns of tables, names": (
        f"{CLASSIFIER}::test_whole_numbers_of_any_width_are_labels",
        f"{CLASSIFIER}::test_a_name_takes_a_free_output_and_is_given_back",
        f"{CLASSIFIER}::test_a_saved_life_goes_on_as_if_it_had_not_stopped_and_knows_its_classes",
        f"{CLASSIFIER}::test_every_name_is_given_back_by_the_output_that_it_took",
    ),
    "labels that are truth values, floats or ones among zeros": (
        f"{CLASSIFIER}::test_what_is_neither_a_whole_number_nor_a_name_is_refused",
        f"{CLASSIFIER}::test_labels_of_two_axes_are_refused_with_their_shape",
        f"{BATCHES}::test_what_else_cannot_be_is_refused_by_name",
    ),
    "uint8, float64 and float16 images, arrays and lists": (
        f"{IMAGES}::test_uint8_is_from_0_to_255",
        f"{IMAGES}::test_arrays_lists_and_tensors_of_any_width_mean_the_same",
        f"{CLASSIFIER}::test_images_of_any_type_mean_the_same",
    ),
    "floats from 0 to 255": (
        f"{IMAGES}::test_what_means_something_else_is_refused_by_name",
        f"{CLASSIFIER}::test_what_is_no_image_is_refused_and_nothing_has_changed",
    ),
    "pictures of 8 or 12 bits in 16": (f"{FOLDERS}::test_deep_pictures_of_another_range_are_named_with_it",),
    "pictures of any form, turned or with several frames": (
        f"{FOLDERS}::test_a_picture_of_any_form_is_the_same_image",
        f"{FOLDERS}::test_a_picture_of_a_rarer_form_is_the_same_image",
        f"{FOLDERS}::test_a_picture_is_turned_as_its_exif_says",
        f"{FOLDERS}::test_of_an_animation_the_first_frame_is_read_whatever_its_format",
    ),
    "files in a folder that are no pictures": (
        f"{FOLDERS}::test_files_that_are_no_pictures_are_named_and_hidden_ones_skipped",
        f"{FOLDERS}::test_every_file_is_read_or_named",
    ),
    "a NaN in what is to be predicted": (
        f"{CLASSIFIER}::test_what_is_no_image_is_refused_and_nothing_has_changed",
        f"{DEPLOYMENT}::test_an_empty_batch_and_what_cannot_be_predicted_are_refused",
        f"{BATCHES}::test_what_else_cannot_be_is_refused_by_name",
    ),
    "a batch of nothing": (
        f"{IMAGES}::test_no_image_is_refused",
        f"{BATCHES}::test_a_batch_that_does_not_suit_is_refused_by_type_and_shape",
    ),
    "learning where gradients are off": (
        f"{CLASSIFIER}::test_it_learns_where_no_gradient_is_kept",
        f"{DEPLOYMENT}::test_learning_works_where_gradients_are_off",
    ),
    "a loss at a temperature": (
        f"{CLASSIFIER}::test_a_loss_is_a_cross_entropy_in_nats_whatever_the_temperature_that_is_learned_at",
        f"{CLASSIFIER}::test_where_nothing_is_known_the_loss_is_that_of_a_guess",
    ),
    "a life that learns otherwise than the record's": (
        f"{CLASSIFIER}::test_learning_a_class_is_what_the_runs_own_lives_did",
        f"{CLASSIFIER}::test_learning_makes_the_runs_updates_on_one_batch_and_observing_makes_one",
    ),
    "pickling a life": (
        f"{CLASSIFIER}::test_it_cannot_be_pickled_and_says_how_it_is_kept",
        f"{DEPLOYMENT}::test_pickling_points_to_save",
    ),
    # Any module.
    "dropout in predictions": (f"{DEPLOYMENT}::test_dropout_is_off_in_predict_and_on_in_observe_if_asked",),
    "batch norm and single examples": (
        f"{DEPLOYMENT}::test_innate_batch_norm_takes_single_examples_and_keeps_its_statistics",
        f"{DEPLOYMENT}::test_plastic_batch_norm_follows_the_stream_and_is_saved_with_the_life",
        f"{DEPLOYMENT}::test_batch_norm_without_statistics_to_go_by_is_refused_by_name",
    ),
    "recurrent networks": (f"{DEPLOYMENT}::test_a_recurrent_network_lives_as_in_a_plain_loop",),
    "a file of another precision": (f"{DEPLOYMENT}::test_a_file_of_another_precision_is_refused",),
    "a batch of another type or shape": (
        f"{BATCHES}::test_a_batch_that_does_not_suit_is_refused_by_type_and_shape",
        f"{BATCHES}::test_nothing_changes_where_a_batch_is_refused",
    ),
    "parameters that are no numbers or of two precisions": (
        f"{DEPLOYMENT}::test_innate_parameters_that_cannot_be_are_refused_by_name",
        f"{DEPLOYMENT}::test_plastic_parameters_that_cannot_live_are_refused_by_name",
    ),
    "a run in another thread than the main one": (
        "tests/engine/test_resume.py::test_a_job_in_another_thread_than_the_main_one_is_done_too",
    ),
    "installed inside another repository": (
        "tests/engine/test_run_record.py::test_installed_into_another_repository_that_ones_commit_is_not_recorded",
    ),
    "a truncated kernel": (
        "tests/kernels/test_toolchain.py::test_a_library_that_was_damaged_is_built_again_and_only_then",
    ),
    "resumed under another number of threads": (
        "tests/engine/test_resume.py::test_resumed_under_another_number_of_threads_it_ends_in_the_same_numbers",
    ),
    # Stores of networks.
    "a network of other shapes than were stored": (
        f"{STORE}::test_what_does_not_suit_is_refused_and_nothing_changes",
        f"{VECTORS}::test_a_network_of_another_form_is_refused_by_the_first_tensor_that_differs",
    ),
    "weights that are no numbers": (
        f"{STORE}::test_what_does_not_suit_is_refused_and_nothing_changes",
        f"{VECTORS}::test_a_weight_that_is_no_number_is_refused_by_name",
    ),
    "a store of another codec": (f"{STORE}::test_a_file_of_another_codec_is_refused_and_nothing_is_lost",),
    "a store that is truncated, altered or none": (
        f"{STORE}::test_a_truncated_or_altered_file_is_refused",
        f"{STORE}::test_a_file_that_is_no_store_is_refused_and_nothing_is_lost",
    ),
    "more networks than a budget allows": (
        f"{STORE}::test_what_a_budget_does_not_allow_is_refused_and_nothing_is_lost",
        f"{STORE}::test_a_buffer_that_a_budget_does_not_let_be_consolidated_waits_on",
        f"{STORE}::test_a_file_that_takes_more_bytes_than_a_budget_is_refused_and_nothing_is_lost",
    ),
    "a split that does not fit": (f"{VECTORS}::test_a_split_that_does_not_fit_is_refused",),
    "a store that is killed while it is saved": (
        f"{STORE}::test_killed_while_it_is_saved_a_store_is_as_before_or_whole",
    ),
    "a codec that fails or is stopped": (
        f"{STORE}::test_a_codec_that_fails_leaves_the_store_as_it_was",
        "tests/learners/weight_codecs/test_contract.py::test_self_net_that_is_stopped_in_the_course_of_a_stage_is_what_it_was",
    ),
    # The machine and the command.
    "bounds that depend on the processor": (
        "tests/learners/test_hyper_step.py::test_in_single_precision_every_window_is_as_near_as_its_rounding_allows",
    ),
    "a time left that means nothing while kernels are compiled": (
        "tests/kernels/test_toolchain.py::test_compiling_is_told_before_it_begins",
        "tests/engine/test_progress.py::test_what_comes_before_the_first_report_is_not_held_against_the_rest",
        "tests/engine/test_progress.py::test_the_time_left_is_in_its_two_largest_units",
    ),
    "the version": (f"{COMMAND}::test_the_version_is_the_packages",),
    "the help of a command": (f"{COMMAND}::test_every_command_says_how_it_is_called",),
    "a page that names other digits than were trained on": (
        "tests/systems/images/test_pools.py::test_a_page_names_the_digits_that_the_code_trains_on",
    ),
}


def _tests_of(path: str):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_input_that_once_went_wrong_has_tests_that_are_there(fault: str):
    assert FAULTS[fault]
    for node in FAULTS[fault]:
        path, _, name = node.partition("::")
        assert name in _tests_of(path), node
