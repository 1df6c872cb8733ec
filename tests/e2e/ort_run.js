// SPDX-License-Identifier: Apache-2.0
//
// node ort_run.js RUNTIME FOLDER: runs a model in ONNX Runtime, once or some
// steps one after the other, as FOLDER/job.json says and writes
// FOLDER/answer.json and the outputs' bytes.  One thread; with job.seconds the
// last run is repeated that long and timed.
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

function tensor(input) {
    const bytes = read(input.file);
    return new ort.Tensor(input.type, new ARRAYS[input.type](
        bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset +
                           bytes.length)), input.shape);
}

async function main() {
    const job = JSON.parse(read('job.json'));
    const session = await ort.InferenceSession.create(job.model, {
        intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3,
    });
    const feeds = {};
    const steps = [];
    let result;
    for (const [i, inputs] of job.steps.entries()) {
        for (const input of inputs) {
            feeds[input.name] = tensor(input);
        }
        result = await session.run(feeds);
        for (const [input, output] of Object.entries(job.feedback)) {
            feeds[input] = result[output];
        }
        steps.push(session.outputNames.map((name, k) => {
            const t = result[name], file = `out${i}.${k}`;
            fs.writeFileSync(path.join(folder, file), Buffer.from(
                t.data.buffer, t.data.byteOffset, t.data.byteLength));
            return {name, type: t.type, shape: t.dims, file};
        }));
    }
    const ms = [];
    const end = performance.now() + 1000 * job.seconds;
    while (performance.now() < end) {
        const start = performance.now();
        await session.run(feeds);
        ms.push(performance.now() - start);
    }
    fs.writeFileSync(path.join(folder, 'answer.json'),
                     JSON.stringify({steps, ms}));
}

main().catch((e) => {
    console.error(e.message);
    process.exit(1);
});
