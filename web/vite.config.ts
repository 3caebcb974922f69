import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

// The server that `npm run dev` asks: ODOGRAPH=http://127.0.0.1:8080
const server = process.env.ODOGRAPH ?? 'http://127.0.0.1:8080'
const asked = { target: server, changeOrigin: false, ws: true }
const proxy = { '/api': asked, '/healthz': asked, '/readyz': asked, '/metrics': asked, '/map.json': asked }

// As the server says it: pages that were only tried without it break there.
const policy =
  "default-src 'self'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

/** The map library is the largest of all, and the first view has a map: it is fetched with the first script, and not behind it. */
const preloadMap: Plugin = {
  name: 'preload-map',
  transformIndexHtml: {
    order: 'post',
    handler: (_, { bundle }) => {
      const library = Object.keys(bundle ?? {}).find((file) => /maplibre-gl-[^/]*\.js$/.test(file) && !file.includes('worker'))
      return library === undefined ? [] : [{ tag: 'link', attrs: { rel: 'modulepreload', crossorigin: true, href: `/${library}` }, injectTo: 'head' }]
    }
  }
}

export default defineConfig({
  plugins: [svelte(), preloadMap],
  build: {
    target: 'es2022',
    // No script or font may be part of the page itself: the server forbids such scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The map library alone is larger than what is warned of.
    chunkSizeWarningLimit: 1200,
    // What several pages need is one script: as many small ones each compress by themselves, and weigh 2 kB more.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'shared', test: /\/src\//, minShareCount: 2 }] } } }
  },
  worker: { format: 'es' },
  server: { proxy },
  preview: { proxy, headers: { 'Content-Security-Policy': policy } }
})
