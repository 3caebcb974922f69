// The pages for whoever keeps it all running: one script, because each by itself would weigh more, and they are small.
export { default as admin } from './Admin.svelte'
export { default as settings } from './Settings.svelte'
export { default as system } from './System.svelte'
export { default as unidentified } from './Unidentified.svelte'
