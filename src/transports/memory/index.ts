export { type MemoryBroker, memoryBroker } from './broker.ts'
export type { CommitDelay, Failure, Fault, FaultScope } from './fault-points.ts'
export type { MemoryFaults, PausedMember } from './faults.ts'
export type { MemoryBrokerOptions, Timers } from './options.ts'
