// Tests of what needs no page: the modules are compiled as those of the pages are, and then Node's own runner tests them.
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'vite'

const web = new URL('../', import.meta.url).pathname
const tests = join(web, 'tests/unit')
// Within node_modules, which nobody keeps.
const outDir = join(web, 'node_modules/.unit')

rmSync(outDir, { recursive: true, force: true })
const names = readdirSync(tests).filter((name) => name.endsWith('.test.ts')).sort()
if (names.length === 0) throw new Error(`there is no test in ${tests}`)
const input = Object.fromEntries(names.map((name) => [name.replace(/\.ts$/, ''), join(tests, name)]))
await build({ root: web, logLevel: 'warn', build: { ssr: true, outDir, copyPublicDir: false, rolldownOptions: { input }, reportCompressedSize: false } })
const made = names.map((name) => join(outDir, name.replace(/\.ts$/, '.js')))
// Days begin where people are: the tests are in Berlin, whose clocks are turned.
const { status } = spawnSync(process.execPath, ['--import', join(tests, 'browser.mjs'), '--test', '--test-reporter=spec', ...made], { cwd: web, stdio: 'inherit', env: { ...process.env, TZ: 'Europe/Berlin' } })
process.exit(status ?? 1)
