op_tests =
if HAVE_CMOCKA
op_tests += tests/op/test_dnn_float
op_tests += tests/op/test_dnn_int
op_tests += tests/unit/test_binary
op_tests += tests/unit/test_cast
op_tests += tests/unit/test_conv
op_tests += tests/unit/test_matmul
op_tests += tests/unit/test_move
op_tests += tests/unit/test_norm
op_tests += tests/unit/test_pool
op_tests += tests/unit/test_quantize
op_tests += tests/unit/test_reduce
op_tests += tests/unit/test_resize
op_tests += tests/unit/test_shape_ops
op_tests += tests/unit/test_softmax
op_tests += tests/unit/test_unary
endif
check_PROGRAMS += $(op_tests) tests/op/vectors
TESTS += $(op_tests) tests/op/vectors

op_test_sources = tests/op/one_node.h tests/op/compare.c tests/op/compare.h
op_test_libs = libops.a libir.a libbase.a $(CMOCKA_LIBS) -lm -lpthread

tests_unit_test_binary_SOURCES = tests/unit/test_binary.c $(op_test_sources)
tests_unit_test_binary_LDADD = $(op_test_libs)
tests_unit_test_cast_SOURCES = tests/unit/test_cast.c $(op_test_sources)
tests_unit_test_cast_LDADD = $(op_test_libs)
tests_unit_test_conv_SOURCES = tests/unit/test_conv.c $(op_test_sources)
tests_unit_test_conv_LDADD = $(op_test_libs)
tests_unit_test_matmul_SOURCES = tests/unit/test_matmul.c $(op_test_sources)
tests_unit_test_matmul_LDADD = $(op_test_libs)
tests_unit_test_move_SOURCES = tests/unit/test_move.c $(op_test_sources)
tests_unit_test_move_LDADD = $(op_test_libs)
tests_unit_test_norm_SOURCES = tests/unit/test_norm.c $(op_test_sources)
tests_unit_test_norm_LDADD = $(op_test_libs)
tests_unit_test_pool_SOURCES = tests/unit/test_pool.c $(op_test_sources)
tests_unit_test_pool_LDADD = $(op_test_libs)
tests_unit_test_quantize_SOURCES = tests/unit/test_quantize.c $(op_test_sources)
tests_unit_test_quantize_LDADD = $(op_test_libs)
tests_unit_test_reduce_SOURCES = tests/unit/test_reduce.c $(op_test_sources)
tests_unit_test_reduce_LDADD = $(op_test_libs)
tests_unit_test_resize_SOURCES = tests/unit/test_resize.c $(op_test_sources)
tests_unit_test_resize_LDADD = $(op_test_libs)
tests_unit_test_shape_ops_SOURCES = tests/unit/test_shape_ops.c $(op_test_sources)
tests_unit_test_shape_ops_LDADD = $(op_test_libs)
tests_unit_test_softmax_SOURCES = tests/unit/test_softmax.c $(op_test_sources)
tests_unit_test_softmax_LDADD = $(op_test_libs)
tests_unit_test_unary_SOURCES = tests/unit/test_unary.c $(op_test_sources)
tests_unit_test_unary_LDADD = $(op_test_libs)

tests_op_vectors_SOURCES = tests/op/vectors.c tests/op/compare.c tests/op/compare.h
tests_op_vectors_LDADD = $(ENGINE_A) $(ENGINE_LIBS)
