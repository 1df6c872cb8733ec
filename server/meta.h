/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of meta.c, metrics.c and infer.c, as api_tbl.h names them.
 */
#ifndef SERVER_META_H
#define SERVER_META_H

struct daemon;
struct request;

void meta_server(struct daemon *d, struct request *r);
void meta_live(struct daemon *d, struct request *r);
void meta_ready(struct daemon *d, struct request *r);
void meta_openapi(struct daemon *d, struct request *r);
void meta_models(struct daemon *d, struct request *r);
void meta_model(struct daemon *d, struct request *r);
void meta_model_ready(struct daemon *d, struct request *r);
void meta_config(struct daemon *d, struct request *r);
void meta_stats(struct daemon *d, struct request *r);
void metrics_get(struct daemon *d, struct request *r);
void infer_post(struct daemon *d, struct request *r);

/* doc/openapi.yaml as JSON, made by the build. */
extern const char meta_openapi_text[];

#endif
