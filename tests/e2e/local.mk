# Run by pytest (scripts/test), not by make check: see doc/hacking.md.
EXTRA_DIST += \
	tests/e2e/conftest.py \
	tests/e2e/contrib_answers.py \
	tests/e2e/contrib_cases.py \
	tests/e2e/control.py \
	tests/e2e/ctl.py \
	tests/e2e/drawn.py \
	tests/e2e/fake_quantctl.sh \
	tests/e2e/families.py \
	tests/e2e/grown.py \
	tests/e2e/npm.py \
	tests/e2e/onnx_vectors.py \
	tests/e2e/optimize_make.py \
	tests/e2e/ort.py \
	tests/e2e/ort_run.js \
	tests/e2e/programs.py \
	tests/e2e/pypi.py \
	tests/e2e/server.py \
	tests/e2e/spoken.py \
	tests/e2e/test_000_protocol.py \
	tests/e2e/test_001_infer.py \
	tests/e2e/test_002_clients.py \
	tests/e2e/test_003_prometheus.py \
	tests/e2e/test_010_quantctl_usage.py \
	tests/e2e/test_011_quantctl_inspect.py \
	tests/e2e/test_012_quantctl_run.py \
	tests/e2e/test_013_quantctl_verify.py \
	tests/e2e/test_014_quantctl_bench.py \
	tests/e2e/test_015_quantctl_quantize.py \
	tests/e2e/test_016_quantctl_compare.py \
	tests/e2e/test_020_upload.py \
	tests/e2e/test_021_route.py \
	tests/e2e/test_022_repository.py \
	tests/e2e/test_023_jobs.py \
	tests/e2e/test_030_bad_input.py \
	tests/e2e/test_031_hostile_requests.py \
	tests/e2e/test_040_openapi.py \
	tests/e2e/test_050_demo.py \
	tests/e2e/test_051_readme.py \
	tests/e2e/test_100_digits.py \
	tests/e2e/test_101_ppocr.py \
	tests/e2e/test_102_qdq_steps.py \
	tests/e2e/test_103_no_vnni.py \
	tests/e2e/test_104_grown.py \
	tests/e2e/test_106_control_flow.py \
	tests/e2e/test_107_half.py \
	tests/e2e/test_105_families.py \
	tests/e2e/test_110_onnx_files.py \
	tests/e2e/test_111_onnx_vectors.py \
	tests/e2e/test_112_contrib.py \
	tests/e2e/test_113_types.py \
	tests/e2e/test_114_optimized.py \
	tests/e2e/test_115_import_matrix.py \
	tests/e2e/test_120_quantized_twins.py \
	tests/e2e/test_121_silero.py \
	tests/e2e/test_122_ocr.py \
	tests/e2e/test_123_names.py \
	tests/e2e/test_124_int8_lstm.py \
	tests/e2e/test_125_wake_words.py \
	tests/e2e/test_200_load.py \
	tests/e2e/test_300_life.py \
	tests/e2e/test_310_crash.py \
	tests/e2e/tiny.py \
	tests/e2e/twins_make.py \
	tests/e2e/typed.py

# Copies ONNX files for tests/e2e/test_110_onnx_files.py.
check_PROGRAMS += tests/e2e/onnx_copy
tests_e2e_onnx_copy_LDADD = libonnx.a libir.a libbase.a $(PROTOBUF_C_LIBS) -lm
