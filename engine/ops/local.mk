noinst_LIBRARIES += libops.a
libops_a_SOURCES = \
	engine/ops/affine_grid.c \
	engine/ops/attention.c \
	engine/ops/attention_onnx.c \
	engine/ops/binary.c \
	engine/ops/cast.c \
	engine/ops/causal_conv.c \
	engine/ops/col2im.c \
	engine/ops/concat.c \
	engine/ops/control.c \
	engine/ops/conv.c \
	engine/ops/conv_integer.c \
	engine/ops/decide.c \
	engine/ops/deform_conv.c \
	engine/ops/det.c \
	engine/ops/diagonal.c \
	engine/ops/einsum.c \
	engine/ops/floats.c engine/ops/floats.h \
	engine/ops/fourier.c \
	engine/ops/gather.c \
	engine/ops/grid_sample.c \
	engine/ops/line.c \
	engine/ops/linear_attention.c \
	engine/ops/loss.c \
	engine/ops/matmul.c \
	engine/ops/mel.c \
	engine/ops/move.c engine/ops/move.h \
	engine/ops/norm.c \
	engine/ops/number.c engine/ops/number.h \
	engine/ops/ops.c engine/ops/ops.h \
	engine/ops/pad.c \
	engine/ops/permute.c \
	engine/ops/pool.c \
	engine/ops/post.c \
	engine/ops/quantize.c \
	engine/ops/random.c \
	engine/ops/recurrent.c \
	engine/ops/reduce.c \
	engine/ops/repeat.c \
	engine/ops/resize.c \
	engine/ops/roi.c \
	engine/ops/rotary.c \
	engine/ops/rule.c engine/ops/rule.h \
	engine/ops/scatter.c \
	engine/ops/select.c \
	engine/ops/shape.c \
	engine/ops/slice.c \
	engine/ops/softmax.c \
	engine/ops/suppress.c \
	engine/ops/tensor_scatter.c \
	engine/ops/tfidf.c \
	engine/ops/unary.c \
	engine/ops/unique.c \
	engine/ops/unpool.c \
	engine/ops/view.c \
	engine/ops/walk.c engine/ops/walk.h \
	engine/ops/work.c
