# Unit tests: one program a file, each linked with the archives it may use.
if HAVE_CMOCKA
unit_tests = \
	tests/unit/test_shape
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

tests_unit_test_shape_LDADD = libir.a libbase.a $(CMOCKA_LIBS)
