export { type BrokerCapabilities, type BrokerFixture, brokerConformance } from './testing/broker-conformance.ts'
export type { FaultPlan, Faults, PlannedFault } from './testing/faults.ts'
export { type FaultyStore, faultyStore, type StoreFaultCall, type StoreFaultPoint } from './testing/faulty-store.ts'
export * from './testing/simulate.ts'
export {
  type ConformanceTest,
  type StoreFactory,
  type StorePlace,
  storeConformance,
} from './testing/store-conformance.ts'
