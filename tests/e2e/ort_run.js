// SPDX-License-Identifier: Apache-2.0
//
// node ort_run.js RUNTIME FOLDER: runs a model in ONNX Runtime as
// FOLDER/job.json says and writes FOLDER/answer.json and the outputs' bytes.
// One thread; with job.seconds the run is repeated that long and timed.
'use strict';
const fs = require('fs');
const path = require('path');

const [runtime, folder] = process.argv.slice(2);
const ort = require(runtime);
const read = (name) => fs.readFileSync(path.join(folder, name));

// Element types whose JavaScript array has another name than numpy's type.
const ARRAYS = {
    float32: Float32Array, float64: Float64Array, int64: BigInt64Array,
    int32: Int32Array, uint8: Uint8Array, int8: Int8Array, bool: Uint8Array,
};

async function main() {
    const job = JSON.parse(read('job.json'));
    const session = await ort.InferenceSession.create(job.model, {
        intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3,
    });
    const feeds = {};
    for (const i of job.inputs) {
        const bytes = read(i.file);
        const data = new ARRAYS[i.type](bytes.buffer.slice(
            bytes.byteOffset, bytes.byteOffset + bytes.length));
        feeds[i.name] = new ort.Tensor(i.type, data, i.shape);
    }
    let result = await session.run(feeds);
    const ms = [];
    const end = performance.now() + 1000 * job.seconds;
    while (performance.now() < end) {
        const start = performance.now();
        result = await session.run(feeds);
        ms.push(performance.now() - start);
    }
    const outputs = session.outputNames.map((name, i) => {
        const t = result[name];
        fs.writeFileSync(path.join(folder, `out${i}`), Buffer.from(
            t.data.buffer, t.data.byteOffset, t.data.byteLength));
        return {name, type: t.type, shape: t.dims, file: `out${i}`};
    });
    fs.writeFileSync(path.join(folder, 'answer.json'),
                     JSON.stringify({outputs, ms}));
}

main().catch((e) => {
    console.error(e.message);
    process.exit(1);
});
