dist_doc_DATA += \
	README.md \
	doc/hacking.md \
	doc/openapi.json
