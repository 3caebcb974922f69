import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

// The server that `npm run dev` asks: ODOGRAPH=http://127.0.0.1:8080
const server = process.env.ODOGRAPH ?? 'http://127.0.0.1:8080'
const asked = { target: server, changeOrigin: false, ws: true }
const proxy = { '/api': asked, '/healthz': asked, '/readyz': asked, '/metrics': asked }

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // No script or font may be part of the page itself: the server forbids such scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The map library alone is larger than what is warned of.
    chunkSizeWarningLimit: 1200
  },
  worker: { format: 'es' },
  server: { proxy },
  preview: { proxy }
})
