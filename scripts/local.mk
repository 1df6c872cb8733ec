dist_noinst_SCRIPTS += \
	scripts/build \
	scripts/check-layers \
	scripts/deps \
	scripts/format \
	scripts/make-resnet50 \
	scripts/test
dist_noinst_DATA += scripts/layers
TESTS += scripts/check-layers
