import type { MachineRecord } from '../../actors/contracts/store.ts'
import { machineId } from '../../actors/identity/index.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { parseCommit, parseTree } from './commit.ts'
import { digitsOf } from './layout.ts'
import type { Repository } from './repository.ts'

/** Reads a machine version. `undefined`: the repository has not got it. @throws COMMIT_DAMAGED */
export function readMachine(repository: Repository, oid: string): MachineRecord | undefined {
  const { objects, objectFormat } = repository
  const found = objects.read(oid)
  const commit = found?.type === 'commit' ? parseCommit(found.bytes) : undefined
  const tree = commit && objects.read(commit.tree)
  const file = tree && parseTree(tree.bytes, digitsOf[objectFormat] / 2)?.get('machine.json')
  const blob = file === undefined ? undefined : objects.read(file)
  if (blob === undefined) return undefined
  const { id, version, definition } = JSON.parse(Buffer.from(blob.bytes).toString()) as MachineRecord
  const record = { oid, id, version, definition }
  return machineId(objectFormat, record) === oid ? deepFreeze(record) : undefined
}
