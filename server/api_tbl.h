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

/* The control plane's rows follow. */
