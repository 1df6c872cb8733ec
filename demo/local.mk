dist_noinst_DATA += \
	demo/README.md \
	demo/calibration.npz \
	demo/digit-3.json \
	demo/digit-5.f32 \
	demo/digit-7.json \
	demo/digits.onnx \
	demo/result.json \
	demo/validation.npz
dist_noinst_SCRIPTS += demo/train.py
