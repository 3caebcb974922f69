import { defineConfig } from '@playwright/test'

/** The browser is the system's: nothing is downloaded. */
const executablePath = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium'
const args = [
  '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'
]

export default defineConfig({
  testDir: 'tests',
  testMatch: '*.spec.ts',
  globalSetup: './tests/server.ts',
  // Maps are drawn by software where tests run, on machines that have other things to do.
  timeout: 240_000,
  expect: { timeout: 30_000 },
  workers: 1,
  reporter: 'list',
  use: { launchOptions: { executablePath, args }, timezoneId: 'Europe/Berlin', viewport: { width: 1440, height: 900 } }
})
