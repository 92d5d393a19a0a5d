export { canonicalJson, prettyCanonicalJson } from './canonical-json.ts'
export {
  type CommitObjects,
  isWritten,
  type MachineContent,
  machineCommit,
  machineId,
  runCommit,
  runId,
  type UnitContent,
  unitCommit,
  unitId,
  writeUnit,
} from './commits.ts'
export { digest } from './digest.ts'
export {
  type GitCommitContent,
  type GitObject,
  type GitObjectType,
  type GitTreeEntry,
  gitBlob,
  gitCommit,
  gitTree,
} from './git-objects.ts'
export { type RunBeginning, randomNonce, runCreation } from './run-key.ts'
export { type ChainAnchor, type UnitChain, unitChain } from './unit-chain.ts'
