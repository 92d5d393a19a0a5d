import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { FrameDecoder } from './decode.ts'
import { Draft } from './draft.ts'
import type { Segments } from './files.ts'
import { type LogEnd, segmentAt } from './layout.ts'
import type { RunIndex } from './run-index.ts'
import { scanFrames } from './scan.ts'
import type { Work } from './turns.ts'

/** What was entered of a log. */
export interface Entered {
  /** Bytes of the frames. */
  readonly bytes: number
  /** Bytes behind the last whole frame. */
  readonly torn: number
}

/** Enters into an index what a log says behind what the index knows. @param until where to end */
export function* enterFrames(
  index: RunIndex,
  segments: Segments,
  objectFormat: ObjectFormat,
  until: Pick<LogEnd, 'segment' | 'offset'>,
): Work<Entered> {
  const decoder = new FrameDecoder(objectFormat, position => segments.path(segmentAt(position)))
  let bytes = 0
  const scan = scanFrames(segments, objectFormat, index.end, until, (frame, end) => {
    const draft = new Draft(index)
    decoder.decode(frame, draft)
    index.commit(draft, end)
    bytes += frame.end - frame.start
  })
  for (;;) {
    const step = scan.next()
    if (step.done) {
      index.end = step.value.end
      return { bytes, torn: step.value.torn }
    }
    if (index.crowded) yield* index.packing()
    yield
  }
}
