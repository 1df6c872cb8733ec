dist_noinst_SCRIPTS += \
	scripts/build \
	scripts/check-layers \
	scripts/deps \
	scripts/format \
	scripts/test
dist_noinst_DATA += scripts/layers
TESTS += scripts/check-layers
