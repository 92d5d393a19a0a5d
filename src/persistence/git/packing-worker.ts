import { parentPort } from 'node:worker_threads'
import { type Order, PackingDesk } from './packing-desk.ts'

/*
 * What a packing thread runs. Every order is answered, in the order they came.
 */

const desk = new PackingDesk()
const port = parentPort!
port.on('message', (order: Order) => {
  try {
    const value = desk.answer(order)
    // A pack is long, and nobody has it here any more.
    const moved = typeof value === 'object' && 'pack' in value ? [value.pack.buffer as ArrayBuffer] : []
    port.postMessage({ value }, moved)
  } catch (error) {
    port.postMessage({ error })
  }
})
