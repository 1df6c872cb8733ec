# The daemon, all but main.c, as an archive that its unit tests link, too.
noinst_LIBRARIES += libserver.a
libserver_a_SOURCES = \
	server/admit.c server/admit.h \
	server/api.c server/api.h server/api_tbl.h \
	server/api_jobs.c server/api_jobs.h \
	server/api_repository.c \
	server/api_route.c \
	server/api_upload.c \
	server/auth.c server/auth.h \
	server/buf.c server/buf.h \
	server/child.c server/child.h \
	server/config.c server/config.h server/config_tbl.h \
	server/daemon.h \
	server/drain.c server/drain.h \
	server/emit.c server/emit.h \
	server/endpoints.h \
	server/history.c server/history.h \
	server/http.c server/http.h \
	server/infer.c \
	server/job.c server/job.h server/job_impl.h \
	server/job_record.c \
	server/jobrun.c \
	server/listen.c server/listen.h \
	server/loader.c server/loader.h \
	server/log.c server/log.h \
	server/loop.c server/loop.h \
	server/manifest.c server/manifest.h \
	server/meta.c server/meta.h \
	server/metrics.c \
	server/modelconf.c server/modelconf.h \
	server/multipart.c server/multipart.h \
	server/notify.c server/notify.h \
	server/oip.c server/oip.h \
	server/oip_bind.c \
	server/oip_write.c \
	server/pbtxt.c server/pbtxt.h \
	server/peer.c server/peer.h \
	server/publish.c \
	server/queue.c server/queue.h \
	server/recipe.c server/recipe.h server/recipe_tbl.h \
	server/registry.c server/registry.h \
	server/repo.c server/repo.h server/repo_impl.h \
	server/report.c server/report.h \
	server/request.c server/request.h \
	server/route.c server/route.h \
	server/scan.c server/scan.h \
	server/stats.c server/stats.h \
	server/tasks.c server/tasks.h \
	server/thread.c server/thread.h \
	server/traffic.c server/traffic.h \
	server/unpack.c server/unpack.h \
	server/upload.c server/upload.h \
	server/watch.c server/watch.h \
	server/worker.c server/worker.h
SERVER_LIBS = $(MICROHTTPD_LIBS) $(LIBUV_LIBS) $(JANSSON_LIBS) $(INIH_LIBS) \
	$(ZLIB_LIBS) $(NETTLE_LIBS) -lm -lpthread

sbin_PROGRAMS += quantd
quantd_CPPFLAGS = $(AM_CPPFLAGS) -DSYSCONFDIR='"$(sysconfdir)"'
quantd_SOURCES = server/main.c
quantd_LDADD = libserver.a $(ENGINE_A) $(SERVER_LIBS) $(ENGINE_LIBS)

# The OpenAPI document as a string, with its indentation gone.
nodist_libserver_a_SOURCES = server/openapi.c
CLEANFILES += server/openapi.c
server/openapi.c: $(top_srcdir)/doc/openapi.json
	$(AM_V_GEN)$(MKDIR_P) server && { \
	  echo '#include "server/meta.h"'; \
	  echo 'const char meta_openapi_text[] ='; \
	  $(SED) -e 's/^ *//' -e 's/\\/&&/g' -e 's/"/\\"/g' -e 's/.*/"&"/' \
	    $(top_srcdir)/doc/openapi.json; \
	  echo ';'; } > $@.tmp && mv $@.tmp $@
