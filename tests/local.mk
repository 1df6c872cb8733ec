# Unit tests: one program a file, each linked with the archives it may use.
# One a line, sorted.
unit_tests =
if HAVE_CMOCKA
unit_tests += tests/unit/test_api
unit_tests += tests/unit/test_auth
unit_tests += tests/unit/test_config
unit_tests += tests/unit/test_control
unit_tests += tests/unit/test_data
unit_tests += tests/unit/test_emit
unit_tests += tests/unit/test_func
unit_tests += tests/unit/test_histogram
unit_tests += tests/unit/test_history
unit_tests += tests/unit/test_import
unit_tests += tests/unit/test_judge
unit_tests += tests/unit/test_log
unit_tests += tests/unit/test_model
unit_tests += tests/unit/test_multipart
unit_tests += tests/unit/test_npy
unit_tests += tests/unit/test_oip
unit_tests += tests/unit/test_pass
unit_tests += tests/unit/test_pbtxt
unit_tests += tests/unit/test_place
unit_tests += tests/unit/test_policy
unit_tests += tests/unit/test_qlinear
unit_tests += tests/unit/test_quant
unit_tests += tests/unit/test_queue
unit_tests += tests/unit/test_range
unit_tests += tests/unit/test_registry
unit_tests += tests/unit/test_repo
unit_tests += tests/unit/test_request
unit_tests += tests/unit/test_route
unit_tests += tests/unit/test_save
unit_tests += tests/unit/test_scan
unit_tests += tests/unit/test_shape
unit_tests += tests/unit/test_sites
unit_tests += tests/unit/test_stats
unit_tests += tests/unit/test_tar
unit_tests += tests/unit/test_tile
unit_tests += tests/unit/test_unpack
unit_tests += tests/unit/test_contrib
unit_tests += tests/unit/test_upgrade
unit_tests += tests/unit/test_weight
endif
include tests/fuzz/local.mk
include tests/op/local.mk

check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)

tests_unit_test_control_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_unit_test_data_LDADD = libquant.a libir.a libbase.a $(NETTLE_LIBS) \
	$(LIBZIP_LIBS) $(CMOCKA_LIBS) -lm
tests_unit_test_judge_LDADD = libquant.a libir.a libbase.a $(CMOCKA_LIBS) -lm
tests_unit_test_npy_LDADD = libquant.a libir.a libbase.a $(CMOCKA_LIBS) -lm
tests_unit_test_place_LDADD = librun.a libbase.a $(CMOCKA_LIBS)
tests_unit_test_func_LDADD = libdnn.a libir.a libbase.a $(DNNL_LIBS) $(CMOCKA_LIBS) -lm
tests_unit_test_tile_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS)
tests_unit_test_tile_LDADD = libdnn.a libir.a libbase.a $(DNNL_LIBS) $(CMOCKA_LIBS) -lm
tests_unit_test_shape_LDADD = libir.a libbase.a $(CMOCKA_LIBS)
tests_unit_test_history_LDADD = libserver.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_pbtxt_LDADD = libserver.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_route_LDADD = libserver.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_histogram_LDADD = libquant.a libbase.a $(CMOCKA_LIBS) -lm
tests_unit_test_policy_LDADD = libquant.a $(CMOCKA_LIBS) -lm
tests_unit_test_range_LDADD = libquant.a libbase.a $(CMOCKA_LIBS) -lm
tests_unit_test_tar_LDADD = libquant.a libbase.a $(CMOCKA_LIBS)
tests_unit_test_weight_LDADD = libquant.a libir.a libbase.a $(CMOCKA_LIBS) -lm
tests_unit_test_pass_LDADD = libpass.a libops.a libir.a libbase.a $(CMOCKA_LIBS) \
	-lm -lpthread
tests_unit_test_sites_SOURCES = tests/unit/test_sites.c tests/unit/net.h
tests_unit_test_sites_LDADD = libquant.a libir.a libbase.a $(CMOCKA_LIBS) -lm
tests_unit_test_quant_SOURCES = tests/unit/test_quant.c tests/unit/net.h
tests_unit_test_quant_LDADD = libquant.a $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_unit_test_model_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_unit_test_multipart_LDADD = libserver.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)

# The fast kernels against the plain ones.
tests_op_test_attention_SOURCES = tests/op/test_attention.c tests/op/both.h
tests_op_test_attention_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_op_test_dnn_float_SOURCES = tests/op/test_dnn_float.c tests/op/both.h
tests_op_test_dnn_float_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_op_test_dnn_int_SOURCES = tests/op/test_dnn_int.c tests/op/both.h \
	tests/op/integers.h
tests_op_test_dnn_int_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_op_test_dnn_zero_SOURCES = tests/op/test_dnn_zero.c tests/op/both.h \
	tests/op/integers.h
tests_op_test_dnn_zero_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_op_test_dnn_layers_SOURCES = tests/op/test_dnn_layers.c tests/op/both.h
tests_op_test_dnn_layers_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_op_test_dnn_recurrent_SOURCES = tests/op/test_dnn_recurrent.c tests/op/both.h
tests_op_test_dnn_recurrent_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_op_test_dnn_random_SOURCES = tests/op/test_dnn_random.c tests/op/both.h
tests_op_test_dnn_random_LDADD = $(ENGINE_A) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_unit_test_import_SOURCES = tests/unit/test_import.c tests/unit/onnx_make.h
tests_unit_test_import_LDADD = libonnx.a libir.a libbase.a $(PROTOBUF_C_LIBS) \
	$(CMOCKA_LIBS) -lm
tests_unit_test_save_SOURCES = tests/unit/test_save.c tests/unit/onnx_make.h
tests_unit_test_save_LDADD = libonnx.a libir.a libbase.a $(PROTOBUF_C_LIBS) \
	$(CMOCKA_LIBS) -lm
tests_unit_test_qlinear_SOURCES = tests/unit/test_qlinear.c tests/unit/onnx_make.h
tests_unit_test_qlinear_LDADD = libonnx.a libir.a libbase.a $(PROTOBUF_C_LIBS) \
	$(CMOCKA_LIBS) -lm
tests_unit_test_contrib_SOURCES = tests/unit/test_contrib.c tests/unit/onnx_make.h
tests_unit_test_contrib_LDADD = libonnx.a libir.a libbase.a $(PROTOBUF_C_LIBS) \
	$(CMOCKA_LIBS) -lm
tests_unit_test_upgrade_SOURCES = tests/unit/test_upgrade.c tests/unit/onnx_make.h
tests_unit_test_upgrade_LDADD = libonnx.a libir.a libbase.a $(PROTOBUF_C_LIBS) \
	$(CMOCKA_LIBS) -lm
tests_unit_test_scan_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_queue_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_config_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_emit_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_auth_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_oip_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_repo_LDADD = libserver.a libbase.a $(SERVER_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_registry_LDADD = libserver.a libbase.a $(SERVER_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_test_api_LDADD = libserver.a $(ENGINE_A) $(SERVER_LIBS) $(ENGINE_LIBS) $(CMOCKA_LIBS)
tests_unit_test_request_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_unpack_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_stats_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_log_LDADD = libserver.a libir.a libbase.a $(SERVER_LIBS) $(CMOCKA_LIBS)
