noinst_LIBRARIES += librun.a
librun_a_SOURCES = \
	engine/run/batch.c \
	engine/run/describe.c \
	engine/run/layout.c engine/run/layout.h \
	engine/run/model.c engine/run/model.h \
	engine/run/place.c engine/run/place.h \
	engine/run/plan.c engine/run/plan.h \
	engine/run/session.c
