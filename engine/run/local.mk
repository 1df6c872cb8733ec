noinst_LIBRARIES += librun.a
librun_a_SOURCES = \
	engine/run/batch.c \
	engine/run/control.c engine/run/control.h \
	engine/run/cut.c engine/run/cut.h \
	engine/run/describe.c \
	engine/run/eager.c engine/run/eager.h \
	engine/run/layout.c engine/run/layout.h \
	engine/run/model.c engine/run/model.h \
	engine/run/place.c engine/run/place.h \
	engine/run/plan.c engine/run/plan.h \
	engine/run/plans.c engine/run/plans.h \
	engine/run/runner.c engine/run/runner.h \
	engine/run/session.c engine/run/session.h
