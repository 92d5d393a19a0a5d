import type { JsonValue } from '../contracts/json.ts'
import type { ErrorCode } from '../errors.ts'
import { walkJson } from './json-walk.ts'
import type { JsonLimits } from './walk-options.ts'

/** What is being copied, for its errors. */
export interface JsonSubject {
  /** Starts the error's text, such as `The input of the run`. */
  readonly name: string
  readonly code: ErrorCode
  /** @default `code` */
  readonly tooLarge?: ErrorCode
}

/** How to copy JSON. */
export interface JsonCopyOptions {
  /** @default no limit */
  readonly maxBytes?: number | undefined
  /** @default 256 */
  readonly maxDepth?: number | undefined
  /** A property that is `undefined` is left out instead of refused. An element never is. @default false */
  readonly undefinedIsAbsent?: boolean | undefined
}

const unlimited: JsonLimits = Object.freeze({ maxBytes: Number.POSITIVE_INFINITY, maxDepth: 256 })

/** A deep-frozen copy of a JSON value; anything else is refused with its path in `details.path`. */
export function copyJson(value: unknown, what: JsonSubject, options: JsonCopyOptions = {}): JsonValue {
  return walkJson(value, {
    name: what.name,
    code: what.code,
    tooLarge: what.tooLarge ?? what.code,
    limits: {
      maxBytes: options.maxBytes ?? unlimited.maxBytes,
      maxDepth: options.maxDepth ?? unlimited.maxDepth,
    },
    areAdjustable: false,
    undefinedIsAbsent: options.undefinedIsAbsent ?? false,
  })
}
