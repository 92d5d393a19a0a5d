import type { JsonValue } from '../contracts/json.ts'
import type { Creation } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { runCreation } from '../identity/run-key.ts'
import { copyJson } from '../json/json-copy.ts'
import type { Program } from '../machine/program.ts'
import type { CreateRunOptions, CreationOptions } from './run-options.ts'

/** Everything a new run's id is made of, and its time. */
export function creationOf(
  program: Program,
  options: CreationOptions<never> & Pick<CreateRunOptions, 'key' | 'snapshot'>,
  environment: Environment,
): { readonly creation: Creation; readonly at: number } {
  const { key, input, time = 'arrival' } = options
  if (time !== 'arrival' && time !== 'source')
    throw new TypeError(`Expected \`time\` to be 'arrival' or 'source', got \`${String(time)}\`.`)
  if (options.at !== undefined && (time !== 'source' || !Number.isFinite(options.at)))
    throw new TypeError(
      `Expected \`at\` to be milliseconds since 1970 and \`time\` to be 'source', got \`${String(options.at)}\` and '${time}'.`,
    )
  const copied: JsonValue | undefined =
    input === undefined
      ? undefined
      : copyJson(input, { code: 'INPUT_INVALID', name: 'The input of the run' }, { undefinedIsAbsent: true })
  const { oid: machine, id } = program.record
  const snapshot =
    options.snapshot === undefined
      ? undefined
      : copyJson(options.snapshot, { code: 'SNAPSHOT_INVALID', name: 'The snapshot' }, { undefinedIsAbsent: true })
  const creation = runCreation({ machine, namespace: options.namespace ?? id, key, input: copied, snapshot, time })
  return { creation, at: time === 'arrival' ? environment.now() : (options.at ?? 0) }
}
