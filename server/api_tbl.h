/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call of the daemon, one a line.
 *
 *     ENDPOINT(methods, pattern, right, flags, function)
 *     UPLOAD(methods, pattern, right, sink)
 *
 * A path is matched from the top: a row with a word goes before one with {}.
 */
ENDPOINT(POST, "/v2/models/{}/infer", RIGHT_INFER, 0, infer_post)
ENDPOINT(POST, "/v2/models/{}/versions/{}/infer", RIGHT_INFER, 0, infer_post)

ENDPOINT(GET, "/v2", RIGHT_NONE, 0, meta_server)
ENDPOINT(GET, "/v2/health/live", RIGHT_NONE, 0, meta_live)
ENDPOINT(GET, "/v2/health/ready", RIGHT_NONE, 0, meta_ready)
ENDPOINT(GET, "/metrics", RIGHT_METRICS, 0, metrics_get)
ENDPOINT(GET, "/openapi.json", RIGHT_NONE, 0, meta_openapi)
ENDPOINT(GET, "/v2/models", RIGHT_READ, 0, meta_models)
ENDPOINT(GET, "/v2/models/stats", RIGHT_READ, 0, meta_stats)
ENDPOINT(GET, "/v2/models/{}", RIGHT_READ, 0, meta_model)
ENDPOINT(GET, "/v2/models/{}/versions/{}", RIGHT_READ, 0, meta_model)
ENDPOINT(GET, "/v2/models/{}/ready", RIGHT_NONE, 0, meta_model_ready)
ENDPOINT(GET, "/v2/models/{}/versions/{}/ready", RIGHT_NONE, 0,
         meta_model_ready)
ENDPOINT(GET, "/v2/models/{}/config", RIGHT_READ, 0, meta_config)
ENDPOINT(GET, "/v2/models/{}/versions/{}/config", RIGHT_READ, 0, meta_config)
ENDPOINT(GET, "/v2/models/{}/stats", RIGHT_READ, 0, meta_stats)
ENDPOINT(GET, "/v2/models/{}/versions/{}/stats", RIGHT_READ, 0, meta_stats)

ENDPOINT(POST, "/v2/repository/index", RIGHT_READ, 0, repository_index)
ENDPOINT(POST, "/v2/repository/models/{}/load", RIGHT_ADMIN, BLOCKING,
         repository_load)
ENDPOINT(POST, "/v2/repository/models/{}/unload", RIGHT_ADMIN, BLOCKING,
         repository_unload)
UPLOAD(PUT | POST, "/v2/repository/models/{}", RIGHT_ADMIN, upload_version)
UPLOAD(PUT | POST, "/v2/repository/models/{}/versions/{}", RIGHT_ADMIN,
       upload_version)
ENDPOINT(GET, "/v2/repository/models/{}/versions/{}/report", RIGHT_READ,
         BLOCKING, version_report)
ENDPOINT(GET, "/v2/repository/models/{}/versions/{}/variants", RIGHT_READ,
         BLOCKING, variants_list)
UPLOAD(POST, "/v2/repository/models/{}/versions/{}/variants", RIGHT_ADMIN,
       upload_variant)
ENDPOINT(DELETE, "/v2/repository/models/{}/versions/{}/variants/{}",
         RIGHT_ADMIN, BLOCKING, variant_delete)
ENDPOINT(GET, "/v2/repository/models/{}/versions/{}/variants/{}/model.onnx",
         RIGHT_READ, BLOCKING, variant_download)
ENDPOINT(GET, "/v2/repository/jobs", RIGHT_READ, BLOCKING, jobs_list)
ENDPOINT(GET, "/v2/repository/jobs/{}", RIGHT_READ, BLOCKING, jobs_get)
ENDPOINT(DELETE, "/v2/repository/jobs/{}", RIGHT_ADMIN, BLOCKING, jobs_delete)

ENDPOINT(GET, "/v2/models/{}/route", RIGHT_READ, 0, route_get)
ENDPOINT(PUT, "/v2/models/{}/route", RIGHT_ADMIN, BLOCKING, route_put)
ENDPOINT(POST, "/v2/models/{}/rollback", RIGHT_ADMIN, BLOCKING, route_rollback)
ENDPOINT(GET, "/v2/models/{}/history", RIGHT_READ, BLOCKING, route_history)
