noinst_LIBRARIES += libpass.a
libpass_a_SOURCES = \
	engine/pass/pass.h \
	engine/pass/affine.c \
	engine/pass/bodies.c \
	engine/pass/attention.c \
	engine/pass/compound.c \
	engine/pass/constants.c \
	engine/pass/deconv.c \
	engine/pass/expand.c \
	engine/pass/fuse.c \
	engine/pass/half.c \
	engine/pass/hardswish.c \
	engine/pass/identity.c \
	engine/pass/inline.c \
	engine/pass/integer.c \
	engine/pass/layernorm.c \
	engine/pass/mean.c \
	engine/pass/merge.c \
	engine/pass/simplify.c \
	engine/pass/unwrap.c \
	engine/pass/view.c engine/pass/view.h \
	engine/pass/weights.c
