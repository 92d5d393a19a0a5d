import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileStore } from 'xmachines/persistence/filesystem'
import { createOrderServer } from './server.ts'

const store = fileStore(process.env.ORDERS ?? 'orders')
const server = createOrderServer(store).listen(Number(process.env.PORT ?? 0), '127.0.0.1')
await once(server, 'listening')
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`)

// A graceful end: requests that are there get their answers, then the store lets go of its directory.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    server.close(() => void store.close())
    server.closeIdleConnections()
  })
