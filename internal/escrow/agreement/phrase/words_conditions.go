package phrase

// moreWords is the part of the catalogue that conditions use.
func moreWords(kind string) string {
	switch kind {
	case "proceeding":
		return `bankruptcy | staat van faillissement | bankruptcy
			suspension_of_payments | surseance van betaling | suspension of payments (surseance van betaling)
			debt_rescheduling | een schuldsaneringsregeling | debt rescheduling
			private_composition | een onderhandse akkoordprocedure (WHOA) | a private composition procedure (WHOA)
			in_administration | een administration-procedure | administration
			administration_order | een administration-procedure op rechterlijk bevel | administration by court order
			administrative_receivership | administrative receivership | administrative receivership
			receivership | receivership | receivership
			receiver_manager | beheer door een receiver-manager | the hands of a receiver and manager
			compulsory_liquidation | gerechtelijke vereffening (compulsory liquidation) | compulsory liquidation
			creditors_voluntary_liquidation | vrijwillige vereffening door de schuldeisers (creditors’ voluntary liquidation) | creditors’ voluntary liquidation
			members_voluntary_liquidation | vrijwillige vereffening door de aandeelhouders (members’ voluntary liquidation) | members’ voluntary liquidation
			corporate_voluntary_arrangement | een schuldeisersakkoord (company voluntary arrangement) | a company voluntary arrangement
			moratorium | een moratorium | a moratorium
			restructuring_plan | een herstructureringsplan | a restructuring plan
			provisional_liquidator | voorlopige vereffening | provisional liquidation
			insolvency_opened | een geopende insolventieprocedure | opened insolvency proceedings
			provisional_insolvency | een voorlopige insolventieprocedure | provisional insolvency proceedings
			judicial_reorganisation | gerechtelijke reorganisatie | judicial reorganisation
			safeguard | een sauvegarde-procedure | safeguard proceedings
			judicial_liquidation | gerechtelijke vereffening | judicial liquidation
			chapter_7 | een procedure onder Chapter 7 | Chapter 7 proceedings
			chapter_11 | een procedure onder Chapter 11 | Chapter 11 proceedings
			chapter_15 | een procedure onder Chapter 15 | Chapter 15 proceedings
			liquidation | vereffening | liquidation
			dissolved | staat van ontbinding | dissolution
			none | geen enkele insolventieprocedure | no insolvency proceedings`
	case "statement":
		return `will_not_perform | de overeenkomst niet te zullen nakomen | that it will not perform the agreement
			assumes | de overeenkomst over te nemen | that it assumes the agreement
			end_of_maintenance | het onderhoud van de programmatuur te beëindigen | that it ends the maintenance of the software
			direction | een aanwijzing te geven tot vrijgave | that it directs a release
			key_request_unanswered | geen antwoord te hebben gekregen op een verzoek om een licentiesleutel | that its request for a licence key has gone unanswered
			ceases_business | de onderneming te staken | that it ceases business
			cannot_perform | de overeenkomst niet te kunnen nakomen | that it cannot perform the agreement`
	case "notice":
		return `petition | een verzoek tot insolventverklaring | a petition for its insolvency
			winding_up | een besluit tot vereffening | a resolution for its winding-up
			administration | de benoeming van een administrator | the appointment of an administrator
			strike_off | een voornemen tot doorhaling in het register | an intended strike-off`
	case "moment":
		return `case.opened | de opening van de zaak | the opening of the case
			case.noticed | de kennisgeving in de zaak | the notice given in the case
			case.contested | de betwisting in de zaak | the contest of the case
			case.in_force | de inwerkingtreding van de vrijgave | the entry into force of the release`
	case "encumbrance":
		return `pledge | een pandrecht | a pledge
			third_party_licence | een licentie van een derde | a licence of a third party
			joint_ownership | mede-eigendom | joint ownership
			attachment | een beslag | an attachment`
	case "source":
		return `heartbeat | de levenstekens van %s | the signs of life of %s
			insolvency | de inschrijvingen van %s in de insolventieregisters | the entries of %s in the insolvency registers
			gazette | de bekendmakingen over %s | the published notices about %s
			sla | de beschikbaarheid van %s | the availability of %s
			licence | de resterende geldigheid van %s | the remaining validity of %s
			release | de uitgebrachte versies van %s | the releases of %s
			service | de onderbreking van %s | the interruption of %s
			fact | het feit %s | the fact %s`
	}
	return ""
}
