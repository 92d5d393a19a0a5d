import { expect, test } from 'vitest'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { Claims } from '../../../src/actors/supervisor/claims.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'

const key = { namespace: 'shop', partition: 3 }

test('an uncertain claim is given back, and not that of another supervisor of the process', async () => {
  const store = memoryStore()
  const claim = store.claim.bind(store)
  const settings = { store, consumer: { group: 'g' }, environment: { process: 'p' }, backoff: () => 0 } as never
  const lost = new XMachinesError('STORE_OUTCOME_UNKNOWN', 'The answer was lost.')
  const uncertain = async (isDone: boolean): Promise<Claims> => {
    const claims = new Claims(settings, key)
    store.claim = async (...args) => {
      if (isDone) await claim(...args)
      throw lost
    }
    await expect(claims.claim()).rejects.toBe(lost)
    store.claim = claim
    return claims
  }
  const first = await uncertain(false)
  const second = new Claims(settings, key)
  const epoch = await second.claim()
  await first.release()
  expect(await store.lease(key)).toMatchObject({ owner: 'p', epoch })
  await (await uncertain(true)).release()
  expect(await store.lease(key)).toMatchObject({ owner: null, epoch: epoch + 1 })
})
