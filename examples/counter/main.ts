// biome-ignore-all format: as it was published, but for the package name
import { createRun } from 'xmachines';
import { counterMachine } from './machine.ts';

const run = createRun(counterMachine);
const writer = run.in.getWriter();
await writer.write({ type: 'START' });
await writer.write({ type: 'INCREMENT', value: 5 });
await writer.write({ type: 'INCREMENT', value: 3 });

// Read the current state snapshot
const reader = run.snapshot.getReader();
const { value: snapshot } = await reader.read();
console.log(snapshot);
