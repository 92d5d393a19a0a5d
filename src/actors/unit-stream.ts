import { batchesOf, batchStream } from './batch-stream.ts'
import type { Unit } from './contracts/unit.ts'

/** A stream of the units that `batches` yields, in order; nothing is read ahead of what is asked for. */
export const unitStream: (batches: AsyncIterable<readonly Unit[]>) => ReadableStream<Unit> = batchStream<Unit>

/** The units of any stream in batches: as they were stored where the stream is one of ours, one by one otherwise. */
export const unitBatches: (
  stream: ReadableStream<Unit> | AsyncIterable<Unit>,
) => AsyncGenerator<readonly Unit[], void, void> = batchesOf<Unit>
