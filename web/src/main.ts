import '@fontsource-variable/inter/wght.css'
import './app.css'
import { mount } from 'svelte'
import App from './App.svelte'

const target = document.getElementById('app')
if (!target) throw new Error('index.html has no place for the interface')
export default mount(App, { target })
