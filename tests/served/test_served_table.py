"""The table of what was answered before and is now, a row for each kind of wrong input and entry point.

Each row names the test that holds it: ``pytest -k "served and not slow"`` runs them, and this file checks that
they are there and that no kind or entry point lacks a row.
"""
# ruff: noqa: E501 - a row is a line

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
HERE = "served/test_served_"
KINDS = {
    "A": "a trade-off without its temperature",
    "B": "names that are not matched",
    "C": "what is not a feature or label",
    "D": "a query id forgotten",
    "E": "labels in other units",
    "F": "the caller's state",
    "G": "rows of text that are cut",
    "H": "what can be refused at once",
    "I": "bytes that others wrote",
    "J": "words of other libraries",
}
ENTRY_POINTS = (
    *("fit", "predict", "score", "pareto_front", "partial_fit", "specialize", "explain", "rank", "compare"),
    *("select", "export", "save", "load", "load_table", "load_letor", "convert", "command line", "server"),
    *("aligner", "baselines", "reference", "baseline=", "by=", "categorical_features", "callbacks", "Dask"),
)
TRADE_OFFS, TABLES, FITS = f"{HERE}tradeoffs.py", f"{HERE}tables.py", f"{HERE}fit.py"
REFERENCES, STATE, BYTES = f"{HERE}references.py", f"{HERE}state.py", f"{HERE}bytes.py"
TEXT, COMMANDS, ALIGNER = f"{HERE}text.py", f"{HERE}cli.py", f"{HERE}alignment.py"

#: Kind, entry points, the answer before, the answer now, and the test of it.
ROWS = [
    ("A", "select, predict, score, explain", "temperature 1", "the temperature of the front",
     TRADE_OFFS, "test_who_takes_a_trade_off_honours_its_temperature"),
    ("A", "select, pareto_front", "lost in JSON and rows of weights", "carried by whatever makes a trade-off",
     TRADE_OFFS, "test_who_makes_a_trade_off_keeps_its_temperature"),
    ("A", "predict", "lost in arrays, lists and mappings of rows", "a warning",
     TRADE_OFFS, "test_weights_of_a_front_without_their_temperature_are_told_of"),
    ("A", "predict", "another row's temperature, once sorted and numbered again", "an error",
     TRADE_OFFS, "test_rows_of_weights_that_were_numbered_again_are_refused"),
    ("A", "predict, score, specialize, explain, pareto_front", "the later one won", "two temperatures are an error",
     TRADE_OFFS, "test_another_temperature_beside_a_selection_is_an_error"),
    ("A", "export", "temperature 1", "an input of the file", TRADE_OFFS, "test_onnx_takes_the_two_as_inputs"),
    ("A", "command line", "temperature 1 in JSON and lines to copy", "the same scores as chosen",
     COMMANDS, "test_a_trade_off_keeps_its_temperature"),
    ("A", "server", "temperature 1", "that of the selection",
     "examples/test_serve.py", "test_a_selection_is_served_at_its_temperature"),
    ("A", "rank", "temperature 1", "each at its own", "rankers/test_rankings.py", "test_a_front_is_ranked_at_its_temperatures"),
    ("A", "baselines", "ignored", "an error: no temperature", TRADE_OFFS, "test_a_baseline_without_a_temperature_says_so"),
    ("B", "reference, baseline=", "columns by position", "by name, or an error", REFERENCES, "test_columns_are_found_by_name"),
    ("B", "reference, command line", "columns by position", "by name", REFERENCES, "test_a_model_named_to_the_command"),
    ("B", "predict, baselines", "labels of weights ignored", "by name, unknown ones refused",
     TRADE_OFFS, "test_labelled_weights_are_matched_by_name"),
    ("B", "select", "limits of unknown objectives", "an error", TRADE_OFFS, "test_limits_are_matched_by_name"),
    ("B", "score, pareto_front, partial_fit, fit", "labels of another objective taken", "an error",
     TABLES, "test_the_labels_of_one_objective_go_by_its_name"),
    ("B", "fit, score, pareto_front, predict, by=", "rows by position", "an error",
     TABLES, "test_rows_in_another_order_are_refused"),
    ("B", "score", "rows of two filters by position", "an error", TABLES, "test_rows_of_other_indices_are_refused"),
    ("B", "predict", "numbers for names by position", "an error", TABLES, "test_columns_named_by_numbers_go_by_position"),
    ("B", "categorical_features, predict", "all unknown, in silence", "a warning",
     TABLES, "test_categories_of_which_fit_knew_none_are_warned_of"),
    ("B", "reference", "codes of pandas for other categories", "by value, or an error", REFERENCES, "test_categories_of_pandas"),
    ("B", "command line", "validation labels of a store by position", "by name",
     COMMANDS, "test_validation_labels_of_a_store_go_by_name"),
    ("B", "aligner", "labels by place", "by name", ALIGNER, "test_labels_are_those_of_their_names"),
    ("B", "server", "features by position", "by name",
     "examples/test_serve_operations.py", "test_named_features_are_checked_by_name"),
    ("C", "fit, predict, score, pareto_front", "dates as numbers", "an error that names the column",
     TABLES, "test_features_that_are_not_numbers_are_refused_by_name"),
    ("C", "fit, baselines", "times rounded by minutes", "a warning",
     TABLES, "test_times_that_float32_would_round_are_told_of"),
    ("C", "fit, predict", "masked values as they were", "NaN", TABLES, "test_a_mask_is_nan_in_features_and_labels"),
    ("C", "fit", "the stored index a feature", "an error", TABLES, "test_a_stored_index_is_not_a_feature"),
    ("C", "load_table, convert, command line", "the stored index a feature", "left out",
     TABLES, "test_the_index_in_a_file_is_not_a_feature"),
    ("C", "fit", "labels and query ids among features", "a warning",
     TABLES, "test_labels_and_query_ids_among_the_features_are_warned_of"),
    ("C", "by=", "masked segments, and large numbers as one", "an error; told apart",
     TRADE_OFFS, "test_segments_that_text_would_merge_stay_apart"),
    ("C", "load_table", "missing ids and labels below 0", "an error", TABLES, "test_ranking_data_is_checked"),
    ("C", "reference, baseline=", "classes as scores, labels as scores", "a warning", REFERENCES, "test_classes_and_labels_are_not_scores"),
    ("C", "aligner", "masks ignored", "what they mark is missing", ALIGNER, "test_masks_take_what_they_mark"),
    ("D", "fit, baselines", "one list of all rows", "an error", FITS, "test_many_rows_without_query_ids_are_refused"),
    ("D", "fit, score, pareto_front", "ids of documents: nothing learnt, a metric of 1", "a warning", FITS, "test_ids_of_documents_are_not_those_of_queries"),
    ("D", "fit, predict", "large ids as floats merged", "an error", FITS, "test_ids_that_floats_cannot_tell_apart_are_refused"),
    ("D", "fit, baselines", "queries of training as validation", "a warning",
     FITS, "test_validation_on_queries_of_training_is_told_of"),
    ("D", "partial_fit", "one list of all rows", "an error", FITS, "test_partial_fit_without_query_ids_is_refused"),
    ("D", "fit", "ids in the index of labels ignored", "they are the ids", TABLES, "test_query_ids_in_the_index_of_labels"),
    ("D", "by=", "ids lost where they are the segments", "kept", TRADE_OFFS, "test_segments_may_be_the_queries"),
    ("D", "reference", "a ranker saw one list", "is told the queries", REFERENCES, "test_a_ranker_as_reference_is_told_the_queries"),
    ("D", "command line", "--group of convert alone", "of all", COMMANDS, "test_text_without_query_ids_is_read_by_every_command"),
    ("E", "score, pareto_front, explain", "exp2 of counts", "a warning", FITS, "test_labels_in_other_units_are_told_of"),
    ("E", "fit, partial_fit", "the highest label alone counts", "a warning", FITS, "test_counts_under_exponential_gains_are_told_of"),
    ("E", "command line", "raw clicks for a model of grades", "graded as for fit", COMMANDS, "test_labels_are_graded_as_for_the_fit"),
    ("F", "fit, predict", "errors of torch, other scores", "the same bits", STATE, "test_fit_and_predict_give_the_same_bits_in_any_state"),
    ("F", "fit, predict", "threads differ", "equal bits", STATE, "test_threads_with_one_seed_give_equal_bits"),
    ("F", "export", "depends on torch's state", "the same", STATE, "test_exports_are_the_same_in_any_state"),
    ("G", "load_table", "short rows filled with NaN", "an error with the line", TABLES, "test_broken_csv_is_refused"),
    ("G", "load_table", "an IndexError beyond 2^64", "numbers of any size", TABLES, "test_integers_of_any_size_are_numbers"),
    ("G", "load_letor", "NULL is an error", "a missing value", TEXT, "test_null_is_a_missing_value"),
    ("H", "predict", "an (n, n) matrix", "an error, PerRow", TRADE_OFFS, "test_as_many_trade_offs_as_rows_can_be_asked_for"),
    ("H", "fit, baselines", "LightGBM ignores it, or writes to stderr", "an error", FITS, "test_booster_params_that_lightgbm_refuses_or_ignores"),
    ("H", "fit", "found after the boosters", "an error before", FITS, "test_devices_that_are_not_there_are_refused_before_boosters"),
    ("H", "fit, baselines", "trained on a constant", "an error", FITS, "test_objectives_without_a_label_above_0_are_refused"),
    ("H", "save", "m.pkl holds safetensors", "an error", BYTES, "test_names_of_other_formats_are_refused"),
    ("H", "export", "m.safetensors holds ONNX", "an error", BYTES, "test_an_onnx_file_is_named_as_one"),
    ("I", "load", "crashes", "ModelFileError, or the same scores", BYTES, "test_text_that_lightgbm_would_read_otherwise"),
    ("I", "load", "KeyError, RuntimeError, NaN", "ModelFileError", BYTES, "test_no_forged_file_does_worse_than_an_error"),
    ("I", "load", "9 GB for 2 MB", "four times the file", BYTES, "test_sizes_are_not_believed"),
    ("I", "load_letor, convert", "gigabytes, or a crash", "an error", TEXT, "test_groups_are_compared_before_anything_of_their_size_is_made"),
    ("I", "load_table", "errors of Arrow", "a ValueError", TEXT, "test_parquet_with_other_bytes_is_read_or_refused"),
    ("I", "load_table", "errors of pandas", "a ValueError", TEXT, "test_csv_of_any_cells_is_read_or_refused"),
    ("I", "convert", "SIGBUS", "StoreError", BYTES, "test_a_store_that_is_changed_in_place_is_not_read"),
    ("I", "fit, predict, score, pareto_front, explain, rank, compare", "SIGBUS within a read", "StoreError",
     BYTES, "test_a_store_that_is_cut_off_while_it_is_read_is_a_store_error"),
    ("I", "save, export", "a device replaced", "an error", BYTES, "test_what_is_not_a_file_is_not_replaced"),
    ("I", "command line", "the null device replaced", "an error", COMMANDS, "test_outputs_are_regular_files"),
    ("I", "command line", "the checkpoint deleted first", "kept", COMMANDS, "test_a_failed_fit_keeps_its_checkpoint"),
    ("I", "server", "its reload ended in silence", "goes on", "examples/test_serve_operations.py", "test_the_reload_outlives_files_of_any_kind"),
    ("I", "aligner", "runs code, takes gigabytes", "an error", "alignment/test_alignment_files.py", "test_forged_files_are_the_one_documented_error"),
    ("J", "fit", "could not convert string to float", "what was given and is expected", TABLES, "test_what_is_no_data_is_told_of"),
    ("J", "fit, reference", "the truth value of a Series", "what can be a reference", REFERENCES, "test_what_is_no_reference"),
    ("J", "select, explain, compare, export, baseline=, pareto_front", "words of numpy and Python", "the way out",
     TRADE_OFFS, "test_near_misses_are_told_the_way"),
    ("J", "pareto_front", "refused all objectives", "the others, and a warning", FITS, "test_fronts_leave_out_what_cannot_be_measured"),
    ("J", "command line", "arguments of Python", "options", COMMANDS, "test_advice_names_options"),
    ("J", "reference", "(n,); wanted (n,)", "the row and its score", REFERENCES, "test_scores_that_are_not_numbers"),
    ("J", "load_table", "bz2 read as UTF-16", "the compression", TEXT, "test_other_compression_is_named"),
    ("J", "compare", "words of numpy", "which query, trade-off or option", "rankers/test_rankings.py", "test_what_cannot_be_compared_is_refused"),
    ("J", "callbacks", "after training began", "before", "rankers/test_callbacks.py", "test_what_is_not_a_callback_is_refused"),
    ("J", "Dask", "when computed", "at once", "rankers/test_dask.py", "test_wrong_frames_are_refused_at_once_as_by_predict"),
]  # fmt: skip


@cache
def functions_in(file):
    tree = ast.parse((TESTS / file).read_text())
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}: {row[2]} -> {row[3]}")
def test_each_row_has_its_test(row):
    kind, entries, _before, _now, file, test = row
    assert kind in KINDS
    assert set(entries.split(", ")) <= set(ENTRY_POINTS)
    assert test in functions_in(file)


def test_no_kind_and_no_entry_point_lacks_a_row():
    assert {row[0] for row in ROWS} == set(KINDS)
    assert {entry for row in ROWS for entry in row[1].split(", ")} == set(ENTRY_POINTS)
