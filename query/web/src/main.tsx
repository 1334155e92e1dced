import { render } from 'preact';
import { App } from './app';
import { listenForHints } from './parts/hint';
import { followLinks } from './place';
import './styles/base.css';
import './styles/shell.css';
import './styles/parts.css';
import './styles/team.css';
import './styles/tables.css';
import './styles/signin.css';

followLinks();
listenForHints();
render(<App />, document.getElementById('page')!);
