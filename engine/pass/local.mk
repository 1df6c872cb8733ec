noinst_LIBRARIES += libpass.a
libpass_a_SOURCES = \
	engine/pass/pass.h engine/pass/pass.c
