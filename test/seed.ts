import fc from 'fast-check'

/**
 * Every property of one test run starts from one seed, printed by fast-check in each failure report.
 * `FC_SEED` repeats a run; `FC_RUNS` is the number of cases (`npm run test:long` raises it).
 */
const seed = Number(process.env.FC_SEED ?? Date.now() % 2_147_483_647)
const runs = Number(process.env.FC_RUNS ?? 0)

fc.configureGlobal({ seed, ...(runs > 0 ? { numRuns: runs } : {}) })
