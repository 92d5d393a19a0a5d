import type { MachineRecord } from '../actors/contracts/store.ts'
import type { Creation, ObjectFormat } from '../actors/contracts/unit.ts'
import {
  creationFields,
  machineFields,
  runBesideFields,
  unfitContent,
  unitBesideFields,
} from '../actors/history/recorded-fields.ts'
import { machineId } from '../actors/identity/index.ts'
import { type Fields, isObject, isText, listOf, objectOf, optional, unfit } from '../actors/json/fields.ts'
import { copyJson } from '../actors/json/json-copy.ts'
import { invalid } from './import-refusals.ts'
import type { BesideLine, UnitLine } from './unit-line.ts'

/*
 * What a line of an export has to hold. Ids say nothing of what is recorded beside them, and whoever writes an export by
 * hand can make the ids as well: what is no unit would be found by whoever opens the run, when it is too late.
 */

const unitFields: Fields = {
  ...Object.fromEntries(Object.entries(unitBesideFields).map(([name, check]) => [name, optional(check)])),
  sources: optional(listOf(objectOf({ id: isText, position: value => !isObject(value) && !Array.isArray(value) }))),
}

/** A line of an earlier version lacks what was not there yet. */
const besideFields: Fields = {
  ...Object.fromEntries(Object.entries(runBesideFields).map(([name, check]) => [name, optional(check)])),
  status: runBesideFields.status!,
  attempts: runBesideFields.attempts!,
  sources: isObject,
}

/** @throws IMPORT_INVALID */
export function checkUnit(line: UnitLine): void {
  found(line.run, line.seq, unfitContent(line) ?? unfit(line, unitFields))
}

/** @throws IMPORT_INVALID */
export function checkCreation({ run, seq }: UnitLine, creation: Creation): void {
  if (!isObject(creation)) throw invalid(run, seq, 'Its creation is none')
  check(run, seq, creation, creationFields)
  copyJson(creation, { name: `The creation of run ${run}`, code: 'IMPORT_INVALID' }, { undefinedIsAbsent: true })
}

/** @throws IMPORT_INVALID, also where the machine is not what its id says */
export function checkMachine({ run, seq }: UnitLine, machine: MachineRecord, format: ObjectFormat): void {
  if (!isObject(machine)) throw invalid(run, seq, 'Its machine is none')
  check(run, seq, machine, machineFields)
  if (idOf(format, machine) !== machine.oid) throw invalid(run, seq, 'Its machine is not what its id says')
}

/** `undefined`: it goes too deep to have one. */
function idOf(format: ObjectFormat, machine: MachineRecord): string | undefined {
  try {
    return machineId(format, machine)
  } catch {
    return undefined
  }
}

/** @param seq of the last unit @throws IMPORT_INVALID */
export function checkBeside({ run, beside }: BesideLine, seq: number): void {
  check(run, seq, beside, besideFields)
}

function check(run: string, seq: number, part: object, fields: Fields): void {
  found(run, seq, unfit(part, fields))
}

function found(run: string, seq: number, wrong: string | undefined): void {
  // The value is not shown: it may be of any depth, and anybody's.
  if (wrong !== undefined) throw invalid(run, seq, `Its ${wrong} is not what an export has there`)
}
