/* What each model did in a session. */
import type { SessionDetail } from '../api/shapes';
import { compact, grouped, plural } from '../figures/count';
import { Figure } from '../parts/figure';

const COLUMNS = [
	['Input', 'input_tokens'], ['Output', 'output_tokens'], ['Cache read', 'cache_read_tokens'],
	['Cache written', 'cache_write_tokens'],
] as const;

export function Models({ models }: { models: SessionDetail['models'] }) {
	return (
		<section class="panel table-panel" aria-labelledby="models-title">
			<h2 id="models-title" class="panel-title table-title">Models</h2>
			<div class="table-scroll" tabIndex={0} role="region" aria-label="Models table">
				<table class="table">
					<thead>
						<tr>
							<th scope="col">Model</th>
							<th scope="col" class="number">Cost</th>
							{COLUMNS.map(([name]) => <th key={name} scope="col" class="number">{name}</th>)}
							<th scope="col" class="number">Requests</th>
						</tr>
					</thead>
					<tbody>
						{models.map((model) => (
							<tr key={model.model}>
								<th scope="row"><bdi>{model.model}</bdi></th>
								<td class="number"><Figure metric="cost" value={model.cost_usd} /></td>
								{COLUMNS.map(([name, key]) => (
									<td key={name} class="number" data-hint={plural(model[key], 'token')}>{compact(model[key])}</td>
								))}
								<td class="number">{grouped(model.requests)}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
		</section>
	);
}
