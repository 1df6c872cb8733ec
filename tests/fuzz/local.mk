# One target a parser.  `make fuzz`, in a build folder configured with CC=clang,
# builds them with libFuzzer as fuzz_NAME; `make check` replays the corpus of
# each with replay_NAME.
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/seeds.py
replay_programs = \
	tests/fuzz/replay_config \
	tests/fuzz/replay_infer \
	tests/fuzz/replay_model \
	tests/fuzz/replay_multipart \
	tests/fuzz/replay_onnx \
	tests/fuzz/replay_pbtxt \
	tests/fuzz/replay_samples
fuzz_programs = \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_infer \
	tests/fuzz/fuzz_model \
	tests/fuzz/fuzz_multipart \
	tests/fuzz/fuzz_onnx \
	tests/fuzz/fuzz_pbtxt \
	tests/fuzz/fuzz_samples
check_PROGRAMS += $(replay_programs)
TESTS += $(replay_programs)
EXTRA_PROGRAMS = $(fuzz_programs)
CLEANFILES += $(fuzz_programs)

FUZZ_CFLAGS = $(AM_CFLAGS) -g -O1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined
.PHONY: fuzz
fuzz: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) $(fuzz_programs)

tests_fuzz_replay_onnx_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/fuzz_onnx.c tests/fuzz/replay.c
tests_fuzz_replay_onnx_LDADD = libonnx.a libir.a libbase.a \
	$(PROTOBUF_C_LIBS) -lm
tests_fuzz_fuzz_onnx_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_onnx.c \
	$(libonnx_a_SOURCES) $(libir_a_SOURCES) $(libbase_a_SOURCES)
nodist_tests_fuzz_fuzz_onnx_SOURCES = $(nodist_libonnx_a_SOURCES)
tests_fuzz_fuzz_onnx_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_onnx_LDADD = $(PROTOBUF_C_LIBS) $(NETTLE_LIBS) -lm

quantizer_sources = \
	quant/dynamic.c \
	quant/entropy.c \
	quant/histogram.c quant/histogram.h \
	quant/layer.c quant/layer.h \
	quant/observe.c quant/observe.h \
	quant/quant.c quant/quant.h \
	quant/range.c quant/range.h \
	quant/rewrite.c quant/rewrite.h \
	quant/sites.c quant/sites.h \
	quant/static.c \
	quant/weight.c quant/weight.h
# All of the engine, and the quantizer without its commands; mutate_model.c
# gives libFuzzer models rather than bytes.
tests_fuzz_replay_model_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/fuzz_model.c tests/fuzz/replay.c
tests_fuzz_replay_model_LDADD = libquant.a $(ENGINE_A) $(ENGINE_LIBS)
tests_fuzz_fuzz_model_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_model.c \
	tests/fuzz/mutate_model.c $(quantizer_sources) \
	$(librun_a_SOURCES) $(libpass_a_SOURCES) $(libonnx_a_SOURCES) \
	$(libdnn_a_SOURCES) $(libops_a_SOURCES) $(libir_a_SOURCES) \
	$(libbase_a_SOURCES)
nodist_tests_fuzz_fuzz_model_SOURCES = $(nodist_libonnx_a_SOURCES)
# What it compares with is no hint for changing messages, and costs a third.
tests_fuzz_fuzz_model_CFLAGS = $(FUZZ_CFLAGS) $(OPENMP_CFLAGS) \
	-fno-sanitize-coverage=trace-cmp
tests_fuzz_fuzz_model_LDADD = $(ENGINE_LIBS)

samples_sources = quant/npy.c quant/npy.h quant/npz.c quant/npz.h \
	quant/tar.c quant/tar.h
tests_fuzz_replay_samples_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/fuzz_samples.c tests/fuzz/replay.c
tests_fuzz_replay_samples_LDADD = libquant.a libir.a libbase.a $(LIBZIP_LIBS) -lm
tests_fuzz_fuzz_samples_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_samples.c \
	$(samples_sources) $(libir_a_SOURCES) $(libbase_a_SOURCES)
tests_fuzz_fuzz_samples_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_samples_LDADD = $(LIBZIP_LIBS) $(NETTLE_LIBS) -lm

tests_fuzz_replay_infer_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/fuzz_infer.c tests/fuzz/replay.c
tests_fuzz_replay_infer_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS)
tests_fuzz_fuzz_infer_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_infer.c \
	server/buf.c server/oip.c server/scan.c \
	$(libir_a_SOURCES) $(libbase_a_SOURCES)
tests_fuzz_fuzz_infer_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_infer_LDADD = $(NETTLE_LIBS) -lm -lpthread

tests_fuzz_replay_config_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/fuzz_config.c tests/fuzz/replay.c
tests_fuzz_replay_config_LDADD = libserver.a libbase.a $(SERVER_LIBS)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_config.c \
	server/config.c $(libbase_a_SOURCES)
tests_fuzz_fuzz_config_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_config_LDADD = $(INIH_LIBS) $(NETTLE_LIBS) -lm

tests_fuzz_replay_multipart_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/fuzz_multipart.c tests/fuzz/replay.c
tests_fuzz_replay_multipart_LDADD = libserver.a libbase.a $(SERVER_LIBS)
tests_fuzz_fuzz_multipart_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_multipart.c \
	server/multipart.c $(libbase_a_SOURCES)
tests_fuzz_fuzz_multipart_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_multipart_LDADD = $(NETTLE_LIBS) -lm

tests_fuzz_replay_pbtxt_SOURCES = \
	tests/fuzz/fuzz.h tests/fuzz/fuzz_pbtxt.c tests/fuzz/replay.c
tests_fuzz_replay_pbtxt_LDADD = libserver.a libbase.a $(SERVER_LIBS)
tests_fuzz_fuzz_pbtxt_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_pbtxt.c \
	server/pbtxt.c $(libbase_a_SOURCES)
tests_fuzz_fuzz_pbtxt_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_pbtxt_LDADD = $(NETTLE_LIBS) -lm
