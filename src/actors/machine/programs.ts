import type { AnyStateMachine } from 'xstate'
import type { ObjectFormat } from '../contracts/unit.ts'
import { type MachineDefinition, toDefinition } from './definition.ts'
import { Program } from './program.ts'
import { StrictProgram } from './strict/program.ts'
import { type Strictness, shareOf } from './strict/strictness.ts'

const programs = new WeakMap<object, Map<string, Program>>()

/**
 * The program of a machine or definition: made once for each hash and strictness, refused as `defineMachine` refuses.
 *
 * @param strict `undefined`: as it is outside or in production
 */
export function programOf(
  machine: AnyStateMachine | MachineDefinition,
  format: ObjectFormat,
  strict: Strictness | undefined,
): Program {
  const share = shareOf(strict)
  const name = `${format} ${share}`
  let made = programs.get(machine)
  if (made === undefined) programs.set(machine, (made = new Map()))
  let program = made.get(name)
  if (program === undefined) {
    const definition = toDefinition(machine)
    program = share === 0 ? new Program(definition, format) : new StrictProgram(definition, format, share)
    made.set(name, program)
  }
  return program
}
