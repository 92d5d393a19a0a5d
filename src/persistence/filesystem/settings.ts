import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import type { LogFiles } from './files.ts'
import type { StoreWarning } from './layout.ts'

/** How a store is opened, with nothing left open. */
export interface FileStoreSettings {
  readonly objectFormat: ObjectFormat
  /** A segment that is so long gets no more frames. */
  readonly segmentBytes: number
  readonly readOnly: boolean
  readonly fsync: boolean
  readonly onWarning: (warning: StoreWarning) => void
  readonly files: LogFiles
  /** A checkpoint is written at `close` if so much of the log is not in the last one. */
  readonly checkpointBytes: number
}
